"""Which learnt policies there are, where the gate lets each drive, and what runs where now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from components import blocks, confirm, formats
from components.api_client import LocalClient
from components.blocks import Html
from components.coordinator import choice, words
from core.coordinator.actor import Verdict
from core.coordinator.learnt import HERE
from core.coordinator.view import Deployment, Here, Policy, RlRoom
from core.fleet.ports import CommandLife, PackState

MOST_ROWS, MOST_POLICIES, MOST_NAMED, MOST_EACH = 40, 6, 3, 200
LET, REFUSED = "Deployed: ", "Refused: "
"""As the gate's sentences begin."""
ACTIONS = ("deploy", "roll_back")
SEEN = "coordinator_policies_seen"
NONE = "none: at rest"
"""Of a pack while the coordinator is out of reach."""
ICONS: Mapping[str, tuple[str, str]] = {
    "sent": ("north_east", "sent, no answer yet"), "received": ("mark_email_read", "received"),
    "executed": ("check_circle", "accepted"), "refused": ("block", "refused"),
    "expired": ("cloud_off", "silent")}
AS_CONTROLLER, ALONE = "As the controller of a site", "Alone, at a pack"
POLICY_HEAD = Html(f'<div class="o-row hd o-copol"><span>Policy</span><span>{AS_CONTROLLER}</span>'
                   f"<span>{ALONE}</span></div>")
HEAD = Html('<div class="o-row hd o-cover"><span>Where</span><span>Runs</span><span>Before</span>'
            "<span>Its answer</span></div>")
EACH_HEAD = Html('<div class="o-row hd o-coeach"><span>Pack</span><span>Runs</span>'
                 "<span>Before</span></div>")


def table(room: RlRoom) -> None:
    """Policies with the gate's word."""
    if not room.policies:
        return
    shown = room.policies if len(room.policies) <= MOST_POLICIES else (
        *room.policies[:MOST_POLICIES - 1], room.policies[-1])
    found = [Html(f'<div class="o o-rows">{POLICY_HEAD}'
                  + "".join(_policy(one) for one in shown) + "</div>")]
    if len(shown) < len(room.policies):
        found.append(blocks.note(f"The newest of {len(room.policies)}, and the last of the list."))
    blocks.show(blocks.heading("Learnt policies", "where the gate lets each drive"), *found)


def show(client: LocalClient, site: str) -> None:
    """What runs where, packs of which the same is to be said in one row."""
    known = choice.coordination(client)
    if known is None:
        return
    room = known.rl_room()
    state = state_of(client, room, site)
    if st.session_state.get(SEEN, state) != state and not confirm.stands(client):
        st.rerun()  # the buttons above are of what was
    packs = [pack for pack in client.packs() if pack.site == site]
    rows = [*_here(room), *_packs(packs, newest(client.commands(), site))]
    found = [Html(f'<div class="o o-rows">{HEAD}{"".join(rows[:MOST_ROWS])}</div>') if rows else
             blocks.note("Nothing here runs a learnt policy.")]
    if len(rows) > MOST_ROWS:
        found.append(blocks.note(f"The first {MOST_ROWS} of {len(rows)} rows: what was refused or "
                                 "not answered comes before the rest."))
    blocks.show(blocks.heading("Deployed", _counted(packs)), *found)
    if len(packs) > MOST_NAMED:
        with st.expander("Each pack by itself", key="coordinator_each_pack"):
            blocks.show(*each(packs))


def each(packs: Sequence[PackState]) -> list[Html]:
    """What every pack runs, by name."""
    rows = [f'<div class="o-row o-coeach"><span class="nm">{escape(pack.label)}</span>'
            f"<span>{escape(_runs(pack))}</span>"
            f'<span class="mut">{escape(_before(pack))}</span></div>'
            for pack in sorted(packs, key=lambda one: one.label)[:MOST_EACH]]
    found = [Html(f'<div class="o o-rows">{EACH_HEAD}{"".join(rows)}</div>')]
    if len(packs) > MOST_EACH:
        found.append(blocks.note(f"The first {MOST_EACH} of {len(packs)} packs; under Fleet each "
                                 "pack's own page tells what it runs."))
    return found


def _runs(pack: PackState) -> str:
    return "not told yet" if pack.policy is None else pack.policy or NONE


def _before(pack: PackState) -> str:
    return "" if pack.policy_before is None else pack.policy_before or "none"


def state_of(client: LocalClient, room: RlRoom, site: str) -> tuple[object, ...]:
    """What the buttons depend on."""
    return room.here, room.policies, tuple((pack.element, pack.policy, pack.policy_before)
                                           for pack in client.packs() if pack.site == site)


def newest(lives: Sequence[CommandLife], site: str) -> dict[str, CommandLife]:
    """By device of a site, the last command about its policy; lives: the newest first."""
    found: dict[str, CommandLife] = {}
    for life in lives:
        if life.site == site and life.command.action in ACTIONS:
            found.setdefault(life.device, life)
    return found


def _counted(packs: Sequence[PackState]) -> str:
    """"22 packs run demo-2026, 2 packs with none"."""
    counts = Counter(pack.policy for pack in packs if pack.policy is not None)
    told = [f"{formats.counted(count, 'pack')} "
            + (f"{'runs' if count == 1 else 'run'} {version}" if version else "with none")
            for version, count in counts.most_common(3)]
    return ", ".join(told)


def _policy(one: Policy) -> str:
    facts = ", ".join(part for part in (one.method, one.made_at[:10], one.name
                                        if one.name != one.version else "") if part)
    name = f'<span class="nm">{escape(one.version)}<small>{escape(facts)}</small></span>'
    if one.untrusted:
        return (f'<div class="o-row o-copol">{name}<span class="all">{blocks.symbol("gpp_bad")} '
                f"{escape(words.sentence(one.untrusted))}</span></div>")
    return (f'<div class="o-row o-copol">{name}<span><i class="lab">{AS_CONTROLLER}</i>'
            f'{_verdict(one.site)}</span><span><i class="lab">{ALONE}</i>{_verdict(one.edge)}'
            "</span></div>")


def _verdict(one: Verdict) -> str:
    if one.deployed:
        return (f"{blocks.symbol('verified')} <b>allowed</b>: "
                f"{escape(one.words.removeprefix(LET).rstrip('.'))}")
    return (f"{blocks.symbol('block')} <b>refused</b>: "
            f"{escape(one.words.removeprefix(REFUSED).rstrip('.'))}")


def _here(room: RlRoom) -> list[str]:
    """The policy that plans for sites; before those that devices told by a command line."""
    last = {one.device: one for one in room.deployments}
    rows = [] if room.here is None else [_planning(room.here, last.get(HERE))]
    rows += [_elsewhere(one) for one in room.deployments if one.device != HERE]
    return rows


def _planning(here: Here, last: Deployment | None) -> str:
    stands = (f"{blocks.symbol('block')} <b>may not drive</b>: "
              f"{escape(here.held_back.removeprefix(REFUSED))}") if \
        here.held_back else ""
    if last is not None and last.version == here.version:
        stands = f"{_by(last)}<br>{stands}" if stands else _by(last)
    return _row("The coordinator", here.version or formats.MISSING, here.before, stands)


def _elsewhere(one: Deployment) -> str:
    stands = f"{blocks.symbol('block')} <b>refused</b>: {escape(one.refused)}<br>" if one.refused \
        else ""
    return _row(escape(one.device), one.version, one.previous, stands + _by(one))


def _by(one: Deployment) -> str:
    return escape(f"by {one.by}, {formats.local_time(one.since, st.context.timezone)}")


def _packs(packs: Sequence[PackState], answers: Mapping[str, CommandLife]) -> list[str]:
    """What did not go as it was asked comes first, then what somebody asked."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    ranks: dict[tuple[str, str, str], int] = {}
    for pack in packs:
        life = answers.get(pack.device)
        key = (_runs(pack), _before(pack), "" if life is None else answer(life))
        groups.setdefault(key, []).append(pack.label)
        ranks[key] = 2 if life is None else 0 if life.state in ("refused", "expired") else 1
    return [_row(name, *key) for key in sorted(groups, key=ranks.__getitem__)
            for name in _names(groups[key])]


def _names(labels: Sequence[str]) -> list[str]:
    """Each by itself where they are few; HTML."""
    if len(labels) <= MOST_NAMED:
        return [escape(label) for label in labels]
    more = len(labels) - MOST_NAMED
    named = ", ".join(labels[:MOST_NAMED])
    return [f"{len(labels)} packs<small>{escape(named)} and {more} more</small>"]


def answer(life: CommandLife) -> str:
    """"roll back: accepted", "deploy: refused: ...", with who asked and when."""
    icon, word = ICONS[life.state]
    asked = "roll back" if life.command.action == "roll_back" else "deploy"
    why = f": {escape(life.reason)}" if life.reason else ""
    when = "" if life.changed_at is None else \
        f", {formats.local_time(life.changed_at, st.context.timezone)}"
    return (f"{blocks.symbol(icon)} {asked} by {escape(life.command.issuer)}: "
            f"<b>{word}</b>{why}{when}")


def _row(name: str, runs: str, before: str, stands: str) -> str:
    """name, stands: HTML."""
    return (f'<div class="o-row o-cover"><span class="nm">{name}</span>'
            f'<span>{escape(runs)}</span><span class="mut bef">'
            f'{escape(before)}</span><span class="mut ans">{stands}</span></div>')
