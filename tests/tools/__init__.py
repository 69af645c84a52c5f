"""Tests of tools/: what builds images and packages."""
