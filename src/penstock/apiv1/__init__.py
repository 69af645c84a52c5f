"""The shapes of /api/v1: what the plane answers and takes, read by the server, the pages and the typed client alike.

Owns names, types and limits of the public API, as msgspec structs; standard library and msgspec only, no I/O. Times are Unix
milliseconds (`*_ms`), spans seconds (`*_s`), sizes bytes. A later version may add fields, never take one away.
"""
