"""Lives in the tunnel's network and has none of its own: reaches the tunnel as 127.0.0.1."""

import small


def near(_):
    return {"tunnel": small.ask("http://127.0.0.1:8080/rights"), "version": small.VERSION}


small.serve({("GET", "/near"): near}, port=8090)
