#!/usr/bin/env bash
# Owns .venv: makes it, fills it with exactly the locked requirements, installs this tree into it (editable).
# Does nothing when the lock has not changed since; safe to run from several shells at once.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .stamps
exec 9>.stamps/venv.lock
flock 9

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

pick_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "The control plane and the tests need Python 3.11 or later; none was found. Install one, or name it: make setup PYTHON=/path/to/python3" >&2
    exit 1
}

want="$(cat requirements/dev.txt pyproject.toml | sha256sum | cut -d' ' -f1)"
if [ -x .venv/bin/python ] && [ "$(cat .stamps/venv 2>/dev/null)" = "$want" ]; then
    exit 0
fi
if [ ! -x .venv/bin/python ] || ! new_enough .venv/bin/python; then
    python="$(pick_python)"
    echo "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
if [ "$(cat .stamps/lock 2>/dev/null)" != "$(sha256sum <requirements/dev.txt)" ]; then
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
    sha256sum <requirements/dev.txt >.stamps/lock
fi
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "$want" >.stamps/venv
