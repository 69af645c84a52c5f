"""Loops that bring the fleet nearer to what was asked: a driver, and short steps that call one action each."""
