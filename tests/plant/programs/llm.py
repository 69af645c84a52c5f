"""A very small language model: it learns which word follows which from /model.txt, and goes on from a word."""

import small

follows = {}
words = small.read("/model.txt").split()
for one, other in zip(words, words[1:]):
    follows.setdefault(one, other)


def complete(asked):
    word, said = asked["from"], []
    while word in follows and len(said) < asked.get("words", 5):
        word = follows[word]
        said.append(word)
    return {"said": " ".join(said), "version": small.VERSION}


small.serve({("POST", "/complete"): complete}, healthy=lambda: bool(follows))
