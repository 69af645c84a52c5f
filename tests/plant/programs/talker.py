"""Writes a line to a shared log, and to its own output, twice a second."""

import small

count = 0


def work():
    global count
    count += 1
    line = f"{small.VERSION} line {count}"
    print(line, flush=True)
    with open("/logs/app.log", "a") as file:
        file.write(line + "\n")


small.beside(lambda: small.often(0.5, work))
small.serve({("GET", "/count"): lambda _: count})
