"""The control plane's HTTP surfaces: decode, call one action, render. Never decides and never speaks SQL."""
