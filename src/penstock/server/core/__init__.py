"""The control plane's decisions: values in, values out. No clock, no I/O, no randomness, no ids, no logging."""
