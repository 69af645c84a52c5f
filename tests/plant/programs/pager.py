"""Sends pages, each with a signature made with a key that only this device was given."""

import hashlib
import hmac

import small

KEY = small.read("/run/secrets/pager_key").encode()
pages = []


def page(news):
    text = f"{news['site']}: {news['topic']} is {news['value']}"
    pages.append({"text": text, "signature": hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()})
    return {"sent": len(pages)}


small.serve({("POST", "/page"): page, ("GET", "/pages"): lambda _: pages})
