"""A policy sent to packs over their broker, as the page does it, and what each answers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from core.clock import Clock
from core.config import Config, SourceConfig
from core.errors import OrreryError, RequestError, SourceError, UnknownIdError
from core.fleet.effects import TTL_S
from core.fleet.outcomes import MARGIN_S, await_settled, sentence
from core.fleet.ports import CommandLife, FleetSource
from core.registry import make_sources
from core.secrets import secret
from core.topology import Topology

FLEET_KIND = "fleet-mqtt"
CONNECTS_S, LOOK_S = 15.0, 0.2
USER = "policies"
"""At the broker: who sends policies to packs (deploy/mosquitto/acl.conf)."""
VARIABLE = "ORRERY_POLICIES_PASSWORD"
NOT_SIGNED_IN = ("The broker of {name} asks who comes, and orrery.toml names the app's user, whom "
               "this would push out: give the password of {user} in {variable}")
NO_CERTIFICATE = ("The broker of {name} asks for a certificate, and orrery.toml names the app's, "
                  "whom this would push out: give one of {user} by --cert-file and --key-file")


@dataclass(frozen=True, slots=True)
class Sender:
    """As whom to come to a broker that asks. password_variable: name of the secret."""

    username: str = USER
    password_variable: str = VARIABLE
    cert_file: str = ""
    key_file: str = ""

    def instead(self, config: Config) -> Config:
        """The same, its brokers' users replaced by this one; a broker that takes anybody is left
        as it is. Raises RequestError where nothing shows who this is."""
        return msgspec.structs.replace(config, sources=[
            self._own(one) if one.kind == FLEET_KIND else one for one in config.sources])

    def _own(self, source: SourceConfig) -> SourceConfig:
        named = {key: value for key, value in source.options.items() if value}
        own: dict[str, object] = {}
        if "cert_file" in named:
            if not (self.cert_file and self.key_file):
                raise RequestError(NO_CERTIFICATE.format(name=source.name, user=self.username))
            own |= {"cert_file": self.cert_file, "key_file": self.key_file}
        if "username" in named:
            if secret(self.password_variable) is None:
                raise RequestError(NOT_SIGNED_IN.format(name=source.name, user=self.username,
                                                      variable=self.password_variable))
            own |= {"username": self.username, "password_secret": self.password_variable}
        return msgspec.structs.replace(source, options={**source.options, **own})


def send(config: Config, clock: Clock, site: str, devices: Sequence[str], action: str, who: str,
         policy: bytes | None = None) -> tuple[bool, str]:
    """Whether every pack did it, and that in words. devices: [] for all of the site. Raises
    UnknownIdError, RequestError, SourceError where there is no broker."""
    fleet = _fleet(config, site)
    known = [pack.device for pack in fleet.packs()]
    unknown = next((one for one in devices if one not in known), None)
    if unknown is not None:
        raise UnknownIdError(f"no pack of {site} is called {unknown[:80]!r}")
    fleet.start(clock.now(), Topology(config.level_list, fleet.roots))
    try:
        _await(fleet, clock)
        lives, unsent = [], {}
        for device in devices or known:
            try:
                lives.append(fleet.command(device, action, who, TTL_S, policy=policy))
            except OrreryError as error:
                unsent[device] = str(error)
        found = _answers(fleet, lives)
    finally:
        fleet.close()
    done = (not unsent and len(found) == len(lives)
            and all(life.state == "executed" for life in found))
    return done, sentence([life.command.id for life in lives], found, unsent)


def _fleet(config: Config, site: str) -> FleetSource:
    """Not started. Raises RequestError where no broker has this site."""
    made = zip(config.sources, make_sources(config), strict=True)
    for said, source in made:
        if said.kind == FLEET_KIND:
            fleet = cast(FleetSource, source)
            if any(pack.site == site for pack in fleet.packs()):
                return fleet
    raise RequestError(f"No source of kind {FLEET_KIND!r} in orrery.toml has packs of {site!r}: "
                       "name its site with --site")


def _await(fleet: FleetSource, clock: Clock) -> None:
    never = threading.Event()
    for _ in range(int(CONNECTS_S / LOOK_S)):
        if fleet.counts().connected:
            return
        clock.wait(LOOK_S, never)
    raise SourceError(f"The broker of {fleet.info.name} does not answer; see that it runs, and its "
                      "name and password")


def _answers(fleet: FleetSource, lives: Sequence[CommandLife]) -> list[CommandLife]:
    return await_settled([life.command.id for life in lives], fleet.commands, TTL_S + MARGIN_S,
                         threading.Event())
