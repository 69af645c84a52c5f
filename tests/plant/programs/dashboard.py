"""A page of what stands behind it: asks each of SOURCES (name=url, separated by spaces) and shows the answers together."""

import small

sources = dict(part.split("=", 1) for part in small.setting("SOURCES").split())


def page(_):
    shown = {"title": small.setting("TITLE"), "version": small.VERSION}
    for name, url in sources.items():
        shown[name] = small.ask(url)
    return shown


small.serve({("GET", "/"): page}, healthy=lambda: all(small.ask(url) is not None for url in sources.values()))
