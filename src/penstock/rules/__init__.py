"""Rules both sides run: pure functions of values. No I/O, no clock, no random, no ids, no logging."""
