"""Raises an alarm when a value passes the limit of /etc/alarms.json, and gives it to the pager."""

import json

import small

rules = json.loads(small.read("/etc/alarms.json"))
raised = {}


def take(topic, value):
    limit = rules["limits"].get(topic)
    if limit is not None and value > limit and topic not in raised:
        raised[topic] = value
        small.ask(small.setting("PAGER", "http://pager:8080") + "/page", {"site": rules["site"], "topic": topic, "value": value})


small.beside(lambda: small.hear(small.setting("BROKER", "broker:1883"), "", take))
small.serve({("GET", "/raised"): lambda _: raised})
