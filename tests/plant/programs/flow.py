"""A flow engine: nodes of /flows.json hear a topic, scale it, compare it, and say it under another topic."""

import json

import small

BROKER = small.setting("BROKER", "broker:1883")
flows = json.loads(small.read("/flows.json"))
done = {}


def node(flow):
    def take(topic, value):
        value = round(value * flow.get("times", 1) + flow.get("plus", 0), 3)
        if "above" in flow:
            value = value > flow["above"]
        done[flow["say"]] = value
        small.say(BROKER, flow["say"], value)

    return lambda: small.hear(BROKER, flow["hear"], take)


for flow in flows:
    small.beside(node(flow))
small.serve({("GET", "/flows"): lambda _: done})
