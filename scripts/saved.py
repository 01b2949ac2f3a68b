"""`python -m scripts.saved`: what the site's database holds beside orrery.toml, operators and
sources; `--remove operator NAME` or `--remove source NAME` takes one out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast, get_args

from core.config import load_config
from core.errors import ConfigurationError, OrreryError
from core.registry import make_site_records
from core.site_records import Kind, SiteRecords

KINDS: tuple[Kind, ...] = get_args(Kind)
WRONG = 2


@contextmanager
def opened() -> Iterator[SiteRecords]:
    """Of the configuration in force; raises ConfigurationError, RetryLaterError."""
    config = load_config()
    records = make_site_records(config.history, config.file)
    if records is None:
        raise ConfigurationError(config.file, "history.kind", config.history.kind,
                                 "one that keeps something; this site keeps nothing")
    try:
        yield records
    finally:
        records.close()


def main(arguments: Sequence[str]) -> int:
    """0 when it was done, 2 when it was asked wrongly."""
    words = argparse.ArgumentParser(prog="python -m scripts.saved", description=__doc__)
    words.add_argument("--remove", nargs=2, metavar=("KIND", "NAME"))
    asked = words.parse_args(arguments)
    try:
        with opened() as records:
            return _remove(records, *asked.remove) if asked.remove else _list(records)
    except OrreryError as error:
        print(error, file=sys.stderr)
        return WRONG


def _list(records: SiteRecords) -> int:
    for kind in KINDS:
        for name in records.saved(kind):
            print(kind, name)
    return 0


def _remove(records: SiteRecords, kind: str, name: str) -> int:
    if kind not in KINDS or not records.remove(cast(Kind, kind), name):
        print(f"nothing is saved as {kind} {name}", file=sys.stderr)
        return WRONG
    print(f"{kind} {name} is out from the next start of Orrery on.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
