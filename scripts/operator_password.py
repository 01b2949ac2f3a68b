"""`python -m scripts.operator_password NAME`: asks for a password and prints its line for
`[operators.names]` in orrery.toml; with --save it goes into the site's database instead."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Sequence

from core.errors import OrreryError, RequestError
from core.operators import checked_name, hashed
from scripts.saved import opened

WRONG = 2


def main(arguments: Sequence[str]) -> int:
    """0 when it was printed or saved, 2 when it was asked wrongly."""
    words = argparse.ArgumentParser(prog="python -m scripts.operator_password",
                                    description=__doc__)
    words.add_argument("name")
    words.add_argument("--save", action="store_true",
                       help="in the database; it counts from the next start of Orrery on")
    asked = words.parse_args(arguments)
    try:
        name = checked_name(asked.name)
        told = str(hashed(_asked()))
        if asked.save:
            with opened() as records:
                records.save("operator", name, told)
            print(f"{name} is an operator from the next start of Orrery on.", file=sys.stderr)
            return 0
    except OrreryError as error:
        print(error, file=sys.stderr)
        return WRONG
    print('In orrery.toml, under [operators] mode = "local":', file=sys.stderr)
    print(f"[operators.names]\n{json.dumps(name, ensure_ascii=False)} = {json.dumps(told)}")
    return 0


def _asked() -> str:
    """From a person twice, from a pipe once; raises RequestError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise RequestError("The two passwords differ.")
    return password


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
