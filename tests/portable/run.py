"""Runs the portable tests with nothing but an interpreter: `python -I -S tests/portable/run.py SRC_DIR [--without=TEST...] [WORD...]`.

Owns finding and calling every `test_*` function in the `test_*.py` files beside it (only files whose name holds a WORD, if
any are given), but for those left out by name, which it says. Never needs pytest, so that old Pythons, foreign processors under emulation and the interpreter inside the
agent's image can run them. Exit status: 0 all passed, 1 something failed, 2 nothing was found to run.
"""

from __future__ import annotations

import os
import pathlib
import sys
import traceback


def main(arguments: list[str]) -> int:
    if not arguments:
        print("usage: run.py SRC_DIR [WORD...]", file=sys.stderr)
        return 2
    left_out = [one[len("--without=") :] for one in arguments if one.startswith("--without=")]
    words = [one for one in arguments[1:] if not one.startswith("--without=")]
    here = pathlib.Path(__file__).resolve().parent
    sys.path[:0] = [str(pathlib.Path(arguments[0]).resolve()), str(here)]
    passed = failed = 0
    for file in sorted(here.glob("test_*.py")):
        if words and not any(word in file.name for word in words):
            continue
        module = __import__(file.stem)
        for test, function in sorted(vars(module).items()):
            if not (test.startswith("test_") and callable(function)):
                continue
            if test in left_out:
                print(f"left out: {test}")
                continue
            try:
                function()
            except Exception:  # noqa: BLE001 - a runner reports whatever a test raises
                failed += 1
                print(f"FAILED {file.name}::{test}\n{traceback.format_exc()}", file=sys.stderr)
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed, Python {sys.version.split()[0]}, {os.uname().machine}, {sys.maxsize.bit_length() + 1} bit")
    return 1 if failed else 0 if passed else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
