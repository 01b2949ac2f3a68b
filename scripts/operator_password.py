"""`python -m scripts.operator_password NAME`: asks for a password and prints its line for
`[operators.names]` in orrery.toml."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Sequence

from core.errors import RequestError
from core.operators import checked_name, hashed


def main(arguments: Sequence[str]) -> int:
    """0 when the line was printed, 2 when it was asked wrongly."""
    if len(arguments) != 1:
        print("python -m scripts.operator_password NAME", file=sys.stderr)
        return 2
    try:
        name = checked_name(arguments[0])
        password = _asked()
        line = f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(str(hashed(password)))}"
    except RequestError as error:
        print(error, file=sys.stderr)
        return 2
    print('In orrery.toml, under [operators] mode = "local":', file=sys.stderr)
    print(f"[operators.names]\n{line}")
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
