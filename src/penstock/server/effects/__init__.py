"""The world outside the control plane: each thing behind a port, with one real form and one for tests. Never decides."""
