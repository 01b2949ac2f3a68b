"""Strict reading of files that people write: unknown keys, wrong types and odd values name
file, key, value and what is allowed (laws 10 and 11)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from core.errors import ConfigurationError

T = TypeVar("T")

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_SECRET = re.compile(r"pass|secret|token|key|url", re.IGNORECASE)
"""Keys whose values are in no message: a secret may stand there by mistake."""


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as plain data; raises ConfigurationError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(str(path), "file", error.strerror, "a readable file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), "file", str(error), "valid TOML in UTF-8") from error


def read_yaml(path: Path) -> Any:
    """A YAML file as plain data; raises ConfigurationError."""
    try:
        return msgspec.yaml.decode(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(str(path), "file", error.strerror, "a readable file") from error
    except msgspec.DecodeError as error:
        raise ConfigurationError(str(path), "file", str(error), "valid YAML in UTF-8") from error


def as_model(data: object, model: type[T], file: str, at: str = "") -> T:
    """`data` as a strict msgspec `model`; raises ConfigurationError with the offending key."""
    try:
        return msgspec.convert(data, model, strict=True)
    except msgspec.ValidationError as error:
        raise _explain(error, data, file, at) from error


def _explain(error: msgspec.ValidationError, data: object, file: str,
             at: str) -> ConfigurationError:
    found = _PLACE.match(str(error))
    what = found["what"] if found else str(error)
    path = (found["path"] if found else None) or "$"
    key = at + path.removeprefix("$")
    unknown = re.search(r"unknown field `(?P<name>[^`]*)`", what)
    if unknown:
        name = unknown["name"]
        value = _shown(name, _lookup(data, f"{path}.{name}"))
        return ConfigurationError(file, f"{key}.{name}".strip("."), value,
                                  "no such key; remove it or correct its name")
    return ConfigurationError(file, key.strip(".") or "file", _shown(key, _lookup(data, path)),
                              what)


def _shown(key: str, value: object) -> object:
    """`value` as a message may tell it."""
    if isinstance(value, dict):
        return {name: _shown(str(name), one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shown(key, one) for one in value]
    return "(not shown)" if _SECRET.search(key.rpartition(".")[2]) and value is not None else value


def _lookup(data: object, path: str) -> object:
    """Value under a msgspec path such as `$.sources[0].seed`; None when there is none."""
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path):
        if name and isinstance(data, dict):
            data = data.get(name)
        elif index and isinstance(data, list) and int(index) < len(data):
            data = data[int(index)]
        else:
            return None
    return data
