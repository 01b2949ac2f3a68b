"""Secrets: from the environment, else from the top level of `.streamlit/secrets.toml`.

orrery.toml names a secret and never holds it. What is found is not kept, shown or logged.

Who writes orrery.toml may name any. Who fills in a form may name those alone that begin with
FOR_SOURCES: a server that the form names is told the secret, so none of this process's own - its
cookies' key, its operators' keys, its database's address - may ever be one of them. `load_config`
sees to the other side: nothing of its own has such a name.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

FILE = Path(".streamlit") / "secrets.toml"
FILES_VARIABLE = "STREAMLIT_SECRETS_FILES"
FOR_SOURCES = "ORRERY_SOURCE_"
NAMED_SO = f"a name in capitals that begins with {FOR_SOURCES}, such as {FOR_SOURCES}TOKEN"
_FOR_SOURCES = re.compile(FOR_SOURCES + r"[A-Z0-9][A-Z0-9_]{0,49}")


def is_for_sources(name: object) -> bool:
    """Whether a form may name it."""
    return isinstance(name, str) and _FOR_SOURCES.fullmatch(name) is not None


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
