"""The chain of root documents beside the root key: what a restored plane needs besides its backup.

Owns that file (JSON list of envelopes, oldest first). A backup may be older than the newest root document; the next one must follow the newest
that devices hold, so the chain is kept where the key is, and written whenever the key is used.
"""

from __future__ import annotations

import json
from pathlib import Path

from penstock.server.effects.private_files import FileFault, write_private


def chain_path(root_key: Path) -> Path:
    """Where the chain of this root key stands."""
    return root_key.with_name(root_key.name + ".roots.json")


def read_chain(root_key: Path) -> tuple[str, ...]:
    """The chain; empty where there is no file. Raises FileFault for one that cannot be read."""
    path = chain_path(root_key)
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as fault:
        raise FileFault(f"the chain of root documents {path} cannot be read: {fault}") from None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise FileFault(f"{path} is no chain of root documents; restore it, or remove it if the backup holds the newest root document")
    return tuple(found)


def write_chain(root_key: Path, chain: tuple[str, ...]) -> None:
    """Keep the chain. Raises FileFault."""
    write_private(chain_path(root_key), json.dumps(list(chain), indent=1).encode("utf-8"), replace=True)
