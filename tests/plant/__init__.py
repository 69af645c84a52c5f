"""A plant's worth of apps: small programs in Python, their images, and ten Compose files of several services each."""
