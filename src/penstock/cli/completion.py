"""`penstock completion`: the script that makes a shell complete commands, options and names."""

from __future__ import annotations

import sys
from typing import Literal

from penstock.cli import out

WHERE = {
    "bash": "~/.local/share/bash-completion/completions/penstock",
    "zsh": "a folder of $fpath, as _penstock",
    "fish": "~/.config/fish/completions/penstock.fish",
}


def completion(shell: Literal["bash", "zsh", "fish"]) -> int:
    """Print the completion script of a shell.

    Names of devices, sites, apps and so on are asked of the control plane when the key is pressed.

    bash: penstock completion bash > ~/.local/share/bash-completion/completions/penstock

    zsh: penstock completion zsh > a folder of $fpath, as _penstock

    fish: penstock completion fish > ~/.config/fish/completions/penstock.fish
    """
    from penstock.cli.main import build

    sys.stdout.write(build(whole=True).generate_completion(shell=shell))
    if sys.stdout.isatty():
        out.aside(f"Keep it in {WHERE[shell]}, and make it anew after an update.")
    return out.DONE
