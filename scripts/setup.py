"""Make `.venv` what the requirement files say; a few milliseconds when nothing changed.

Run by whatever `python3` the machine has, so it needs the standard library alone and its
grammar is that of an old Python: on 3.8 it must still be able to say "3.11, please".
What changed is told by content: `.venv/orrery-setup` keeps one digest for each step.
"""

from __future__ import annotations

import hashlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
STATE = os.path.join(VENV, "orrery-setup")
VIEWER = os.path.join("components", "spheres")
NOT_SOURCE = {"node_modules", "assets", "build", "dist", "__pycache__"}


def digest(paths: list[str]) -> str:
    """Content and names of files under ROOT, as a hex digest; a missing file counts too."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.encode() + b"\0")
        full = os.path.join(ROOT, path)
        if os.path.isfile(full):
            with open(full, "rb") as file:
                total.update(hashlib.sha256(file.read()).digest())
    return total.hexdigest()


def viewer_sources() -> list[str]:
    """Every file that the viewer is built from, relative to ROOT, in a fixed order."""
    found = []
    for folder, folders, files in os.walk(os.path.join(ROOT, VIEWER)):
        folders[:] = sorted(n for n in folders if n not in NOT_SOURCE and n[0] != ".")
        folders[:] = [n for n in folders if not n.endswith(".egg-info")]
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in sorted(files)]
    return found


def wanted(dev: bool) -> dict[str, str]:
    """The digest that each step must have; "dev" is asked for by `--dev` alone."""
    steps = {
        "packages": digest(["requirements.txt"]),
        "viewer": digest(viewer_sources()),
    }
    if dev:
        steps["dev"] = digest(["requirements.txt", "requirements-dev.txt"])
    return steps


def read_state() -> dict[str, str]:
    """The digests of what is installed; nothing where the environment does not run."""
    if not (os.path.isfile(STATE) and os.access(VENV_PYTHON, os.X_OK)):
        return {}
    with open(STATE, encoding="utf-8") as file:
        pairs = (line.split() for line in file)
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def main(arguments: list[str]) -> int:
    """Install what differs; `--last-step N` is the N of "[1/N]"."""
    dev = "--dev" in arguments
    count = 3
    if "--last-step" in arguments:
        count = int(arguments[arguments.index("--last-step") + 1])
    steps, state = wanted(dev), read_state()
    stale = [name for name, value in steps.items() if state.get(name) != value]
    if not stale:
        return 0
    from installing import install  # the rest of the standard library: only when needed

    return install(steps, state, stale, count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
