"""The control plane: decides what runs where, and keeps the evidence.

Owns nothing itself; its rooms are `core` (pure), `store`, `effects`, `actions`, `reconcilers`, `api` and `web`, and `app` puts them
together. Importing it imports nothing.
"""
