"""The only SQL of the control plane: one file per noun, functions of a transaction, core values in and out. Never decides."""
