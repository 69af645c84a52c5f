"""A camera's frames, put into shared memory that the inspector reads: a tmpfs volume, and /dev/shm of the asked size."""

import os
import time

import small

count = 0


def grab():
    global count
    count += 1
    frame = bytes((count + place) % 256 for place in range(4096))
    for folder in ("/frames", "/dev/shm"):
        with open(f"{folder}/frame.new", "wb") as file:
            file.write(frame)
        os.replace(f"{folder}/frame.new", f"{folder}/frame")
    time.sleep(0)


def shape(_):
    shm = os.statvfs("/dev/shm")
    return {"frames": count, "shm_bytes": shm.f_blocks * shm.f_frsize}


small.beside(lambda: small.often(0.5, grab))
small.serve({("GET", "/shape"): shape}, healthy=lambda: count > 0)
