"""A message broker: the last value of each topic is kept in /data/retained.json and given to whoever begins to hear."""

import json
import os
import socketserver
import threading

import small

KEPT = "/data/retained.json"
lock = threading.Lock()
retained = json.load(open(KEPT)) if os.path.exists(KEPT) else {}
ears = []


class Line(socketserver.StreamRequestHandler):
    def handle(self):
        for text in self.rfile:
            message = json.loads(text)
            if message["do"] == "say":
                self.say(message["topic"], message["value"])
                self.wfile.write(b"ok\n")
            else:
                self.hear(message["topic"])

    def hear(self, topic):
        with lock:
            for name, value in retained.items():
                if name.startswith(topic):
                    self.tell(name, value)
            ears.append((topic, self))

    def tell(self, topic, value):
        self.wfile.write(json.dumps({"topic": topic, "value": value}).encode() + b"\n")

    def say(self, topic, value):
        with lock:
            retained[topic] = value
            with open(KEPT + ".new", "w") as file:
                json.dump(retained, file)
            os.replace(KEPT + ".new", KEPT)
            for wanted, ear in list(ears):
                if topic.startswith(wanted):
                    try:
                        ear.tell(topic, value)
                    except OSError:
                        ears.remove((wanted, ear))


socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
small.beside(socketserver.ThreadingTCPServer(("0.0.0.0", 1883), Line).serve_forever)
small.serve({("GET", "/topics"): lambda _: retained})
