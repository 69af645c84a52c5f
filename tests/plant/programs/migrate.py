"""Runs once before the recipes: brings the data to this version's shape, and ends."""

import json
import os

import small

FILE = "/data/recipes.json"
data = json.load(open(FILE)) if os.path.exists(FILE) else {"shape": 0, "recipes": {}}
data["shape"] = int(small.setting("SHAPE", "1"))
data.setdefault("migrated", []).append(small.VERSION)
with open(FILE, "w") as file:
    json.dump(data, file)
print("migrated to shape", data["shape"], flush=True)
