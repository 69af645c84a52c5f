"""The pages: server-rendered, live by server-sent events, usable without a script.

Pages do what /api/v1 does and nothing else: each asks the API's own handlers and renders the shapes they answer with.
"""
