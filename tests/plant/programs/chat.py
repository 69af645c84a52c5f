"""The face of the model: answers a question, with the token that the site was given."""

import small

TOKEN = small.read("/run/secrets/chat_token")


def chat(asked):
    if asked.get("token") != TOKEN:
        return {"why": "who are you?"}
    return small.ask(small.setting("MODEL", "http://model:8080") + "/complete", {"from": asked["say"]})


small.serve({("POST", "/chat"): chat})
