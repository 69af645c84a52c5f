"""Penstock: fleet control for containers on the industrial edge.

Owns the version number and nothing else; importing it imports nothing.
"""

__version__ = "0.1.0"
