"""Adding a source to orrery.toml from a form: test it, write it, keep what a person wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from core.config import DEFAULT_FILE, DEMO_CONFIG, Config, load_config
from core.errors import ConfigurationError
from core.parsing import as_model
from core.registry import SOURCES

PERMISSION = "ORRERY_CHANGE_SOURCES"
"""Environment variable: "1" lets whoever opens the app change its sources. `make run` sets it,
for it serves this machine alone."""


@dataclass(frozen=True, slots=True)
class NewSource:
    """What a form says. house: keys of a new [[houses]] entry, empty for one that exists."""

    kind: str
    name: str
    options: Mapping[str, Any]
    house: Mapping[str, Any] = field(default_factory=dict)


def may_change(config: Config) -> bool:
    """Whether this app lets a person change its sources: a form that connects to any address
    is no business of strangers."""
    return config.sign_in.mode != "none" or os.environ.get(PERMISSION) == "1"


def probe(new: NewSource) -> str:
    """One attempt to connect: what was found, in a sentence.

    Raises ConfigurationError for options that cannot be, SourceError for what does not answer.
    """
    if new.kind not in SOURCES:
        raise ConfigurationError(DEFAULT_FILE, "kind", new.kind, "one of " + ", ".join(SOURCES))
    module = import_module(SOURCES[new.kind])
    options = as_model(dict(new.options), module.Options, DEFAULT_FILE, f"{new.name}.options")
    return str(module.probe(options))


def written(new: NewSource) -> str:
    """The lines for orrery.toml."""
    import tomlkit

    document = tomlkit.document()
    _add(document, new)
    return tomlkit.dumps(document).strip() + "\n"


def save(new: NewSource, config: Config) -> Path:
    """Add it to the file in force (the demo's is copied to ./orrery.toml first) and return the
    file's path. Nothing is written that could not be read again. Raises ConfigurationError."""
    import tomlkit

    path = Path(config.file)
    target = Path(DEFAULT_FILE) if path == DEMO_CONFIG else path
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    _end_demo(document)
    _add(document, new)
    part = target.with_name(target.name + ".tmp")
    try:
        part.write_text(tomlkit.dumps(document), encoding="utf-8")
        load_config(part)
        part.replace(target)
    except OSError as error:
        raise ConfigurationError(str(target), "file", error.strerror, "a file that this process "
                                 "may write; else add the lines below by hand") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _end_demo(document: Any) -> None:
    """Beside a real source, operators without a password are refused: the demo's are left out,
    and everybody looks until somebody is named."""
    if document.get("operators", {}).get("demo"):
        document.remove("operators")


def _add(document: Any, new: NewSource) -> None:
    import tomlkit

    source = tomlkit.table()
    source.update({"kind": new.kind, "name": new.name, "options": dict(new.options)})
    _append(document, "sources", source)
    if new.house:
        house = tomlkit.table()
        house.update(new.house)
        _append(document, "houses", house)


def _append(document: Any, key: str, table: Any) -> None:
    import tomlkit

    if key not in document:
        document.add(tomlkit.nl())
        document.add(key, tomlkit.aot())
    document[key].append(table)
    table.add(tomlkit.nl())
