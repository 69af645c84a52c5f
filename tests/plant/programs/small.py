"""What the programs of the test plant share: settings, an HTTP face with a health page, and a client of the broker.

Messages of the broker are lines of JSON: {"do": "say" | "hear", "topic": ..., "value": ...}. Times out on every wait.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = open("/version").read().strip()


def setting(name, default=""):
    return os.environ.get(name, default)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def leave_on_stop():
    """The first process of a container has no default action for SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def serve(routes, port=8080, healthy=lambda: True):
    """Answer HTTP for ever. `routes` maps (method, path) to a function of the body's JSON that gives JSON."""

    class Face(BaseHTTPRequestHandler):
        def answer(self):
            path = self.path.partition("?")[0]
            try:
                if path == "/healthz":
                    self.reply(200 if healthy() else 503, {"ok": healthy()})
                elif path == "/version":
                    self.reply(200, {"version": VERSION})
                elif (self.command, path) in routes:
                    raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    self.reply(200, routes[self.command, path](json.loads(raw) if raw else self.path.partition("?")[2]))
                else:
                    self.reply(404, {"why": "nothing is here"})
            except Exception as fault:  # a fault of one request is its answer
                self.reply(500, {"why": repr(fault)})

        do_GET = do_POST = answer

        def reply(self, status, plain):
            body = json.dumps(plain).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    leave_on_stop()
    server = ThreadingHTTPServer(("0.0.0.0", port), Face)
    server.daemon_threads = True
    server.serve_forever()


def beside(work):
    threading.Thread(target=work, daemon=True).start()


def ask(url, plain=None, seconds=3):
    data = None if plain is None else json.dumps(plain).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=seconds) as answer:
        return json.loads(answer.read())


def dial(address, seconds=3):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), seconds)


def say(broker, topic, value):
    """Publish one value."""
    with dial(broker) as line:
        line.sendall(json.dumps({"do": "say", "topic": topic, "value": value}).encode() + b"\n")
        line.recv(16)  # the broker has it


def hear(broker, topic, take):
    """Give every value of a topic (and of those below it) to `take`, for ever; the connection is made again when it breaks."""
    while True:
        try:
            with dial(broker) as line:
                line.sendall(json.dumps({"do": "hear", "topic": topic}).encode() + b"\n")
                line.settimeout(None)
                for text in line.makefile("r", encoding="utf-8"):
                    news = json.loads(text)
                    take(news["topic"], news["value"])
        except OSError:
            pass
        time.sleep(0.3)


def often(seconds, work):
    """Do it again and again; what fails is said and tried again."""
    while True:
        try:
            work()
        except Exception as fault:
            print("again:", repr(fault), flush=True)
        time.sleep(seconds)
