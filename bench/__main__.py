"""`python -m bench NAME [--short] [--strict]`: measure, one JSON line a figure; `all` runs every
bench.

A bench is a module of this folder with `run(short: bool = False) -> Iterator[dict]`.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence

import bench
from bench.report import Figure, table

NOT_A_BENCH = {"__main__", "report"}


def names() -> list[str]:
    """Modules of this folder that are benches; helpers begin with an underscore."""
    found = (module.name for module in pkgutil.iter_modules(bench.__path__))
    return sorted(name for name in found if name not in NOT_A_BENCH and name[0] != "_")


def figures(name: str, short: bool = False) -> Iterator[Figure]:
    """Run one bench and check every line that it yields."""
    module = importlib.import_module(f"bench.{name}")
    for line in module.run(short=short):
        yield Figure.of(line)


def measure(name: str, short: bool, into: list[Figure]) -> bool:
    """Print a bench's figures as they come; False when it broke (told on stderr)."""
    started = time.monotonic()
    print(f"{name} ...", file=sys.stderr, flush=True)
    try:
        for figure in figures(name, short):
            into.append(figure)
            print(figure.line(), flush=True)
    except Exception:  # noqa: BLE001 - one broken bench must not hide the others' figures
        traceback.print_exc()
        print(f"{name} broke after {time.monotonic() - started:.0f} s", file=sys.stderr)
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """See `status`."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures of Orrery.")
    parser.add_argument("name", choices=[*names(), "all"])
    parser.add_argument("--short", action="store_true",
                        help="seconds instead of minutes; the numbers are rough")
    parser.add_argument("--strict", action="store_true",
                        help="fail when a target is missed, as CI does with the soak")
    asked = parser.parse_args(arguments)
    chosen = names() if asked.name == "all" else [asked.name]
    done: list[Figure] = []
    whole = all([measure(name, asked.short, done) for name in chosen])
    print(table(done), file=sys.stderr)
    return status(whole, done, asked.strict)


def status(whole: bool, done: Sequence[Figure], strict: bool) -> int:
    """1 when a bench broke; a missed target is told, and punished where `strict`."""
    return 0 if whole and not (strict and any(one.met is False for one in done)) else 1


if __name__ == "__main__":
    sys.exit(main())
