"""Tests of what is delivered."""
