"""A very small language model: it learns which word follows which from /model.txt, and goes on from a word. It will not work without an accelerator."""

import os

import small

follows = {}
words = small.read("/model.txt").split()
for one, other in zip(words, words[1:]):
    follows.setdefault(one, other)


def accelerators():
    return sorted("/dev/" + name for name in os.listdir("/dev") if name.startswith("nvidia"))


def complete(asked):
    word, said = asked["from"], []
    with open(accelerators()[0], "w") as accelerator:
        accelerator.write(word)
    while word in follows and len(said) < asked.get("words", 5):
        word = follows[word]
        said.append(word)
    return {"said": " ".join(said), "version": small.VERSION}


small.serve({("POST", "/complete"): complete, ("GET", "/on"): lambda _: {"accelerators": accelerators()}}, healthy=lambda: bool(follows and accelerators()))
