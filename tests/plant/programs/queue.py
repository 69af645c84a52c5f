"""Labels that wait to be printed."""

import threading

import small

lock = threading.Lock()
waiting = []
printed = []


def put(label):
    with lock:
        waiting.append(label)
    return {"waiting": len(waiting)}


def take(_):
    with lock:
        return waiting.pop(0) if waiting else {}


def done(label):
    with lock:
        printed.append(label)
    return {"printed": len(printed)}


small.serve({("POST", "/put"): put, ("POST", "/take"): take, ("POST", "/done"): done, ("GET", "/printed"): lambda _: printed})
