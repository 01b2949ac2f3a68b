"""Who may send telemetry: the packs of the very file that the app reads."""

from __future__ import annotations

from pathlib import Path

from core.config import load_config
from core.errors import ConfigurationError
from core.parsing import as_model
from services.fleet_source import Options, plates_of

FLEET_KIND = "fleet-mqtt"


def senders(file: Path, site: str) -> frozenset[str]:
    """Devices of the fleets of `site`; raises ConfigurationError."""
    found: set[str] = set()
    for at, source in enumerate(load_config(file).sources):
        if source.kind == FLEET_KIND:
            options = as_model(source.options, Options, str(file), f"sources[{at}].options")
            if options.site == site:
                found |= {plate.device for plate in plates_of(source.name, options)}
    if not found:
        raise ConfigurationError(str(file), "sources", site, f"a source of kind {FLEET_KIND!r} "
                                 "with that site, whose packs may send")
    return frozenset(found)
