"""Adding a source from a form: test it, write it into orrery.toml and keep what a person wrote
there; where that file cannot be written, into the site's database. A form is trusted less than a
file: it names secrets that are for sources alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from core.config import (
    DEFAULT_FILE,
    DEMO_CONFIG,
    Config,
    OperatorsConfig,
    SourceConfig,
    check_names,
    load_config,
)
from core.errors import ConfigurationError
from core.houses import HouseConfig
from core.parsing import as_model
from core.registry import SOURCES
from core.secrets import NAMED_SO, is_for_sources
from core.site_records import SiteRecords

PERMISSION = "ORRERY_CHANGE_SOURCES"
"""Environment variable: "1" lets whoever opens the app change its sources where no operators are
named. `make run` sets it, for it serves this machine alone."""
NOT_SHOWN = "(not shown)"
_SECRET = "_secret"
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")


@dataclass(frozen=True, slots=True)
class NewSource:
    """What a form says. house: keys of a new [[houses]] entry, empty for one that exists."""

    kind: str
    name: str
    options: Mapping[str, Any]
    house: Mapping[str, Any] = field(default_factory=dict)


class SavedSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the site's database holds of a source that a form added."""

    source: SourceConfig
    house: HouseConfig | None = None


def may_change(config: Config) -> bool:
    """Whether there is anybody who may change this app's sources: operators whom a password or a
    provider tells from strangers, or, by PERMISSION, the person at the machine. A form that
    connects to any address is no business of others; who of them is one is asked elsewhere."""
    told = config.operators
    return (told.mode != "none" and not told.demo) or os.environ.get(PERMISSION) == "1"


def check_secrets(new: NewSource) -> None:
    """Raises ConfigurationError for a secret that a form may not name."""
    for key, name in new.options.items():
        if key.endswith(_SECRET) and name != "" and not is_for_sources(name):
            raise ConfigurationError(DEFAULT_FILE, f"{new.name}.options.{key}", NOT_SHOWN, NAMED_SO)


def in_words(new: NewSource) -> str:
    """What it is, for the audit: kind, server and names of secrets, and nothing else of what was
    typed, which may hold a secret. Of a source that `check_secrets` let pass."""
    named = [str(name) for key, name in new.options.items() if key.endswith(_SECRET) and name]
    at = _server(new.options)
    return " ".join([new.kind, *([f"at {at}"] if at else []),
                     *([f"with {', '.join(named)}"] if named else [])])


def _server(options: Mapping[str, Any]) -> str:
    """Host and port; "" where the kind itself knows them, NOT_SHOWN for what is neither."""
    host, port = str(options.get("host", "")), options.get("port")
    if not host and "base_url" in options:
        try:
            parts = urlsplit(str(options["base_url"]))
            host, port = parts.hostname or NOT_SHOWN, parts.port
        except ValueError:
            return NOT_SHOWN
    if not host:
        return ""
    if not _HOST.fullmatch(host):
        return NOT_SHOWN
    return f"{host}:{port}" if port else host


def probe(new: NewSource) -> str:
    """One attempt to connect: what was found, in a sentence.

    Raises ConfigurationError for options that cannot be, SourceError for what does not answer.
    """
    check_secrets(new)
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


def save(new: NewSource, config: Config, records: SiteRecords | None = None) -> Path | None:
    """Add it to the file in force (the demo's is copied to ./orrery.toml first) and return the
    file's path; None: that cannot be written, and `records` have it. Nothing is kept that could
    not be read again. Raises ConfigurationError, RetryLaterError."""
    check_secrets(new)
    path = Path(config.file)
    target = Path(DEFAULT_FILE) if path == DEMO_CONFIG else path
    try:
        _write(new, path, target)
    except OSError as error:
        if records is None:
            raise ConfigurationError(str(target), "file", error.strerror, "a file that this "
                                     "process may write; else add the lines below by hand"
                                     ) from error
        told = {"source": {"kind": new.kind, "name": new.name, "options": dict(new.options)},
                "house": dict(new.house) or None}
        saved = as_model(told, SavedSource, DEFAULT_FILE)
        check_names(msgspec.structs.replace(config, sources=[*config.sources, saved.source]))
        records.save("source", new.name, msgspec.json.encode(told).decode())
        return None
    return target


def _write(new: NewSource, path: Path, target: Path) -> None:
    import tomlkit

    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    _end_demo(document)
    _add(document, new)
    part = target.with_name(target.name + ".tmp")
    try:
        part.write_text(tomlkit.dumps(document), encoding="utf-8")
        load_config(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def with_saved(config: Config, records: SiteRecords | None) -> Config:
    """The configuration with what was saved beside its file, which comes first where both name
    the same. Raises ConfigurationError, RetryLaterError."""
    if records is None:
        return config
    sources, houses = list(config.sources), list(config.houses)
    for name, text in records.saved("source").items():
        saved = _read(name, text)
        if saved.source.name not in {one.name for one in config.sources}:
            sources.append(saved.source)
            if saved.house is not None and saved.house.id not in {one.id for one in houses}:
                houses.append(saved.house)
    operators = _with_operators(config.operators, records.saved("operator"),
                                more=len(sources) > len(config.sources))
    return msgspec.structs.replace(config, sources=sources, houses=houses, operators=operators)


def _read(name: str, text: str) -> SavedSource:
    try:
        data = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigurationError("the site's database", f"source {name}", "(not shown)",
                                 f"JSON ({error}); remove it: python -m scripts.saved --remove "
                                 "source NAME") from error
    return as_model(data, SavedSource, "the site's database", f"source {name}")


def _with_operators(told: OperatorsConfig, saved: Mapping[str, str], *, more: bool,
                    ) -> OperatorsConfig:
    """The demo's door closes where a source was added, as in the file, and where somebody has a
    password; whoever signs in elsewhere needs none here."""
    if more and told.demo:
        told = OperatorsConfig()
    if not saved or told.mode == "oidc":
        return told
    return msgspec.structs.replace(told, mode="local", demo=False,
                                   names={**saved, **told.names})


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
