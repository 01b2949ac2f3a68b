"""A learnt policy put where it runs, or taken back: said, confirmed twice, audited, sent, and
believed when the device itself answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from components import blocks, confirm, formats, operator
from components.api_client import LocalClient
from components.confirm import Step
from components.coordinator import choice, policies, words
from components.fleet import orders as fleet
from components.fleet.orders import Target
from core.alarms.records import AuditEntry
from core.coordinator.actor import Verdict
from core.coordinator.asked import Coordination
from core.coordinator.candidates import SHIPPED
from core.coordinator.learnt import HERE
from core.coordinator.view import Here, Policy, RlRoom
from core.fleet.called import names_of
from core.fleet.effects import TTL_S
from core.fleet.ports import PackState

ALL = "all packs"
NO_POLICY = "No policy lies on this machine: train one, or name its folder in [coordinator] runs."
UNTOLD = "one that is not told"
ANSWERS = (f"A pack acts only where this reaches it within {TTL_S:.0f} s. One that does not answer "
           "may have taken it: look at what it runs.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a policy runs: at `target`'s packs, or as the controller `here`."""

    name: str
    target: Target | None = None
    here: Here | None = None

    @property
    def packs(self) -> tuple[PackState, ...]:
        return () if self.target is None else self.target.packs


def tools(client: LocalClient, site: str) -> None:
    """Where, which, and two buttons; where one does not work it says why."""
    known = choice.coordination(client)
    if known is None:
        return
    st.session_state[policies.SEEN] = None  # until it is known what these buttons are of
    room = known.rl_room()
    places = _places(client, room, site)
    st.session_state[policies.SEEN] = policies.state_of(client, room, site)
    if not places:
        return
    blocks.show(blocks.heading("Deploy, or go back", "a pack follows its policy while the "
                               "coordinator is out of reach"))
    found = {one.name: one for one in room.policies}
    with st.container(key="coordinator_deploy", horizontal=True, gap="small",
                      vertical_alignment="bottom"):
        where = st.selectbox("Where", list(places), key="coordinator_where",
                             format_func=lambda key: places[key].name) or next(iter(places))
        picked = st.selectbox("Policy", list(found), key="coordinator_policy",
                              format_func=lambda name: _title(found[name]))
        why = _buttons(client, known, places[where], found.get(picked or ""))
    blocks.show(*(blocks.note(one) for one in why))


def _places(client: LocalClient, room: RlRoom, site: str) -> Mapping[str, Place]:
    every = client.packs()
    packs = [pack for pack in every if pack.site == site]
    found: dict[str, Place] = {}
    if len(packs) > 1:
        target = fleet.of_site(client, site)
        of = f" of {site}" if len(packs) < len(every) else ""
        found[ALL] = Place(f"All {len(packs)} packs{of}", target)
    names = names_of(every)
    for pack in packs:
        name = names[pack.site, pack.device]
        found[pack.element] = Place(name, Target(name, pack.element, (pack,)))
    if room.here is not None:
        found[HERE] = Place("The coordinator", here=room.here)
    return found


def _title(one: Policy) -> str:
    if one.name == SHIPPED:
        return f"{one.version} (as shipped)"
    return one.version if one.name == one.version else f"{one.version} ({one.name})"


def _buttons(client: LocalClient, known: Coordination, place: Place,
             policy: Policy | None) -> list[str]:
    """Why one does not work, where it does not."""
    who = operator.why_not(client)
    no_deploy, no_back = not_deployed(place, policy), not_back(place)
    if st.button("Deploy", key="coordinator_deploy_go", icon=":material/deployed_code:",
                 width="stretch", disabled=bool(who or no_deploy),
                 help=no_deploy or who or None) and policy:
        _deploy(client, known, place, policy)
    if st.button("Roll back", key="coordinator_roll_back", icon=":material/undo:",
                 width="stretch", disabled=bool(who or no_back), help=no_back or who or None):
        _roll_back(client, known, place)
    return [one for one in (f"Deploy: {no_deploy}" if no_deploy else "",
                            f"Roll back: {no_back}" if no_back else "", who) if one]


def not_deployed(place: Place, policy: Policy | None) -> str:
    """Why this policy is not for this place; "" where it is."""
    if policy is None:
        return NO_POLICY
    if policy.untrusted:
        return words.sentence(policy.untrusted)
    if place.here is not None:
        if place.here.version == policy.version and not place.here.shut:
            return f"{policy.version} is there already."
        return refusal(policy.site) or place.here.shut
    if all(pack.policy == policy.version for pack in place.packs):
        return f"{policy.version} runs there already."
    return refusal(policy.edge)


def refusal(verdict: Verdict) -> str:
    return "" if verdict.deployed else words.sentence(verdict.words)


def not_back(place: Place) -> str:
    """Why nothing can be taken back; "" where it can."""
    if place.here is not None:
        return "" if place.here.before else "no other policy was there before."
    return "" if _with_before(place.packs) else \
        "nothing was deployed there that could be taken back."


def _with_before(packs: Sequence[PackState]) -> tuple[PackState, ...]:
    return tuple(pack for pack in packs if pack.policy_before is not None)


def _versions(packs: Sequence[PackState], before: bool = False) -> str:
    """"v2", "none, v1", of all of them."""
    told = [pack.policy_before if before else pack.policy for pack in packs]
    return ", ".join(sorted({one or "none" for one in told if one is not None})) or "not told"


def _deploy(client: LocalClient, known: Coordination, place: Place, policy: Policy) -> None:
    """The first of two steps."""
    if place.target is None:
        was = place.here.version if place.here else ""
        instead = f" instead of {was}" if was else ""
        effect = (f"The coordinator plans with {policy.version}{instead} wherever RL is the "
                  "controller or plans in the shadow.")
        do = partial(_deploy_here, client, known, policy, was)
        expiry = "It holds until another is deployed; the one before stays beside it."
    else:
        effect = (f"{_subject(place)} {policy.version} while the coordinator is out of "
                  f"reach, instead of {_replaced(place.packs)}.")
        do = partial(_send, client, known, place.target, "deploy", policy.name, policy.version)
        expiry = f"It holds until another is deployed, or this one is rolled back. {ANSWERS}"
    step = Step(place.target.element if place.target else HERE,
                f"deploy {policy.name} {policy.version}", f"Deploy {policy.version}: {place.name}",
                effect, expiry, f"Deploy {policy.version}", "deployed_code")
    confirm.ask(client, step, do)


def _roll_back(client: LocalClient, known: Coordination, place: Place) -> None:
    """The first of two steps; packs with nothing to go back to are left alone."""
    if place.target is None:
        here = place.here or Here("")
        was = f" from {here.version}" if here.version else ""
        effect = f"The coordinator goes back{was} to {here.before}."
        do = partial(_back_here, client, known, here)
        expiry, element = "It holds until another version is deployed.", HERE
    else:
        packs = _with_before(place.packs)
        target = Target(place.name, place.target.element, packs)
        rest = len(place.packs) - len(packs)
        stay = "stays as it is" if rest == 1 else "stay as they are"
        some = f" {formats.counted(rest, 'other pack')} with nothing to go back to {stay}." \
            if rest else ""
        to = _versions(packs, before=True)
        effect = (f"{_named(packs)} back from {_versions(packs)} to {to}"
                  + (": with none a pack rests while the coordinator is out of reach." if "none" in
                     to else ".") + some)
        do = partial(_send, client, known, target, "roll_back", "", to)
        expiry, element = f"It holds until another is deployed. {ANSWERS}", target.element
    step = Step(element, f"roll back {place.name} {_versions(place.packs)}",
                f"Roll back: {place.name}", effect, expiry, "Roll back", "undo")
    confirm.ask(client, step, do)


def _named(packs: Sequence[PackState]) -> str:
    if len(packs) == 1:
        return f"{packs[0].label} goes"
    return f"{formats.counted(len(packs), 'pack')} go"


def _subject(place: Place) -> str:
    return f"{place.name} follows" if len(place.packs) == 1 else f"{place.name} follow"


def _replaced(packs: Sequence[PackState]) -> str:
    told = sorted({UNTOLD if pack.policy is None else pack.policy or "resting"
                   for pack in packs})
    return " or ".join(told)


# -- after the second step


def _deploy_here(client: LocalClient, known: Coordination, policy: Policy, was: str,
                 who: str) -> None:
    client.audit(AuditEntry(client.now(), who, "deploy a policy", HERE, "", "", was,
                            policy.version))
    known.deploy(policy.name, who)


def _back_here(client: LocalClient, known: Coordination, here: Here, who: str) -> None:
    client.audit(AuditEntry(client.now(), who, "roll back a policy", HERE, "", "", here.version,
                            here.before))
    known.roll_back(HERE, who)


def _send(client: LocalClient, known: Coordination, target: Target, action: str, policy: str,
          after: str, who: str) -> None:
    """policy: name of the file that goes with it, "" for none. Raises OrreryError."""
    file = known.policy_file(policy) if policy else None
    words_ = f"{fleet.POLICIES[action]}: {after}"
    client.audit(AuditEntry(client.now(), who, action, target.element, "", "",
                            _versions(target.packs), words_))
    fleet.carry_out(client, target, action, who, words_, policy=file)
