"""The contract between agent and control plane.

Owns what crosses the wire: value types, messages, their JSON form, signed envelopes and the pure rules of trust.
Never does I/O, never reads a clock, never draws random numbers. Standard library only, Python 3.9 and later.
"""
