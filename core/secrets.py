"""Secrets: from the environment, else from the top level of `.streamlit/secrets.toml`.

orrery.toml names a secret and never holds it. What is found is not kept, shown or logged.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

FILE = Path(".streamlit") / "secrets.toml"
FILES_VARIABLE = "STREAMLIT_SECRETS_FILES"


def secret(name: str) -> str | None:
    """The secret of that name; None where nobody told it, or told an empty one."""
    told = os.environ.get(name)
    if told:
        return told
    for path in os.environ.get(FILES_VARIABLE, str(FILE)).split(os.pathsep):
        found = _top_level(Path(path)).get(name)
        if isinstance(found, str) and found:
            return found
    return None


def _top_level(path: Path) -> dict[str, object]:
    """{} for a file that is not there or not readable as TOML: Streamlit says so itself."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
