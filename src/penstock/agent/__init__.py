"""The edge: the program that stands on a device, dials out only, and decides there when a change may happen.

Owns nothing itself; importing it imports nothing, because the resident process pays for every import. Standard library, `wire`,
`rules` and `crypto` only.
"""
