"""What an operator may ask of a pack or a whole site: said, confirmed, audited, sent, followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import streamlit as st

from components import blocks, confirm, formats, operator
from components.api_client import LocalClient
from components.confirm import Step
from core.alarms.records import AuditEntry
from core.errors import OrreryError, SourceError
from core.fleet import outcomes
from core.fleet.called import name_of_all, names_of
from core.fleet.effects import EFFECTS, MUST_GO, TTL_S, carrying
from core.fleet.ports import PackState

LONGEST_HOLD_MIN = 24 * 60
POLICIES = {"deploy": "Deploy policy", "roll_back": "Roll back policy"}
"""Commands that another page gives."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one of EFFECTS looks. frees: it takes a restriction away, so the name of the target
    must be typed."""

    button: str
    icon: str
    title: str
    frees: bool = False


KINDS: dict[str, Kind] = {
    "override": Kind("Override", "speed", "Bound"),
    "release": Kind("Release", "lock_open", "Release", frees=True),
    "controlled_shutdown": Kind("Shut down", "power_settings_new", "Shut down"),
    "emergency_stop": Kind("Emergency stop", "emergency_home", "Stop at once:"),
    "reset": Kind("Reset", "restart_alt", "Reset", frees=True),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One pack or all of a site. name: as a person calls it; element: in the tree. word: what is
    typed before a restriction of it is taken away."""

    name: str
    element: str
    packs: tuple[PackState, ...]
    word: str = ""


def of_pack(client: LocalClient, pack: PackState) -> Target:
    name = names_of(client.packs())[pack.site, pack.device]
    return Target(name, pack.element, (pack,), name)


def of_site(client: LocalClient, site: str) -> Target:
    """All packs of a site; its element is what they hang on."""
    packs = tuple(pack for pack in client.packs() if pack.site == site)
    topology = client.topology
    node = topology.index_of_id.get(packs[0].element) if packs else None
    element = site if node is None else topology.ids[int(topology.parent[node])]
    return Target(name_of_all(site, len(packs)), element, packs, site)


def tools(client: LocalClient, target: Target, key: str) -> None:
    """The buttons; a viewer sees them and why they do not work for him."""
    why = operator.why_not(client)
    with st.container(horizontal=True, key=f"fleet_orders_{key}"):
        _override(client, target, key, why)
        for action in ("release", "controlled_shutdown", "emergency_stop", "reset"):
            kind = KINDS[action]
            if st.button(kind.button, key=f"order_{key}_{action}", disabled=bool(why),
                         help=why or None, icon=f":material/{kind.icon}:"):
                begin(client, target, action)
    if why:
        blocks.show(blocks.note(why))


def site_tools(client: LocalClient) -> None:
    """The same for all packs of a site."""
    sites = list(dict.fromkeys(pack.site for pack in client.packs()))
    with st.popover("Site", icon=":material/apartment:", key="fleet_site"):
        site = (st.selectbox("Site", sites, key="fleet_which_site") if len(sites) > 1
                else sites[0])
        target = of_site(client, site or sites[0])
        blocks.show(blocks.heading(target.name))
        tools(client, target, "site")


def _override(client: LocalClient, target: Target, key: str, why: str) -> None:
    if why:
        st.button(KINDS["override"].button, key=f"order_{key}_override", disabled=True, help=why,
                  icon=f":material/{KINDS['override'].icon}:")
        return
    with st.popover(KINDS["override"].button, icon=f":material/{KINDS['override'].icon}:"):
        with st.form(f"override_{key}", border=False):
            bound_kw = st.number_input("At most, each pack [kW]", 0.0, 100_000.0, 0.0, 1.0, "%.1f",
                                       key=f"override_kw_{key}")
            minutes = st.number_input("For [min]", 1, LONGEST_HOLD_MIN, 15,
                                      key=f"override_min_{key}")
            if st.form_submit_button("Continue", width="stretch", key=f"override_go_{key}"):
                begin(client, target, "override", float(bound_kw), 60.0 * float(minutes))


def begin(client: LocalClient, target: Target, action: str, power_kw: float | None = None,
          hold_s: float | None = None) -> None:
    """The second step; nothing is sent before it."""
    confirm.ask(client, step(client, target, action, power_kw, hold_s),
                partial(send, client, target, action, power_kw, hold_s))


def step(client: LocalClient, target: Target, action: str, power_kw: float | None,
         hold_s: float | None) -> Step:
    """What the dialog says: target, effect with numbers, expiry."""
    kind = KINDS[action]
    bound = "" if power_kw is None else str(formats.power(power_kw))
    now = carrying(client.topology, client.snapshot().frame, target.packs, formats.magnitude)
    return Step(
        target.element, f"{action} {power_kw} {hold_s}", f"{kind.title} {target.name}",
        f"{target.name}: {EFFECTS[action].format(bound=bound)} {now}",
        _expiry(client, hold_s), f"{kind.button} {target.name}", kind.icon,
        target.word if kind.frees else "")


def _expiry(client: LocalClient, hold_s: float | None) -> str:
    answer = (f"A pack acts only where this reaches it within {TTL_S:.0f} s. One that does not "
              "answer may have acted: look at its state.")
    if hold_s is None:
        return answer
    end = client.now() + timedelta(seconds=hold_s)
    return (f"The bound ends by itself after {formats.age(hold_s)}, "
            f"{formats.local_time(end, st.context.timezone)}. {answer}")


def send(client: LocalClient, target: Target, action: str, power_kw: float | None,
         hold_s: float | None, who: str) -> None:
    """After the second step. Audited before it is sent. A stop goes out even where the audit
    cannot be kept: people come before paper. Raises RetryLaterError and SourceError."""
    words = in_words(action, power_kw, hold_s)
    entry = AuditEntry(client.now(), who, action, target.element, "", "", _before(target), words)
    try:
        client.audit(entry)
    except OrreryError as error:
        if action not in MUST_GO:
            raise
        st.toast(blocks.markdown(f"Sent, but not written down: {error}"), icon=":material/error:")
    carry_out(client, target, action, who, words, power_kw, hold_s)


def carry_out(client: LocalClient, target: Target, action: str, who: str, words: str,
              power_kw: float | None = None, hold_s: float | None = None,
              policy: bytes | None = None) -> None:
    """Send what was audited, and audit what comes of it. Raises SourceError where nothing could be
    sent, RetryLaterError."""
    ids, unsent = _send_all(client, target.packs, action, who, power_kw, hold_s, policy)

    def keep(outcome: str) -> None:
        client.audit(AuditEntry(client.now(), who, f"{action}: outcome", target.element, "", "",
                                words, outcome))

    if not ids:
        told = outcomes.sentence((), (), unsent)
        try:
            keep(told)
        except OrreryError as error:
            told = f"{told} {error}"
        raise SourceError(told)
    outcomes.follow(ids, client.commands, TTL_S, unsent, keep)
    if unsent:
        st.toast(blocks.markdown(outcomes.sentence((), (), unsent)), icon=":material/error:")


def _send_all(client: LocalClient, packs: Sequence[PackState], action: str, who: str,
              power_kw: float | None, hold_s: float | None,
              policy: bytes | None) -> tuple[list[str], dict[str, str]]:
    """Ids of what was sent; device -> why of what was not. One failure stops no other."""
    ids, unsent = [], {}
    for pack in packs:
        try:
            life = client.command(pack.element, action, who, TTL_S, power_kw, hold_s, policy)
        except OrreryError as error:
            unsent[pack.device] = str(error)
        else:
            ids.append(life.command.id)
    return ids, unsent


def _before(target: Target) -> str:
    states: dict[str, int] = {}
    for pack in target.packs:
        word = pack.safety or "not known"
        states[word] = states.get(word, 0) + 1
    return ", ".join(f"{count} {word}" if len(target.packs) > 1 else word
                     for word, count in states.items())


def in_words(action: str, power_kw: float | None, hold_s: float | None) -> str:
    """"Override: at most 20.0 kW for 15 min"."""
    name = KINDS[action].button if action in KINDS else \
        POLICIES.get(action, action.capitalize())
    if power_kw is None or hold_s is None:
        return name
    return f"{name}: at most {formats.power(power_kw)} for {formats.age(hold_s)}"
