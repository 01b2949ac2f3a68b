"""What an operator may do here: apply settings, hold the fleet. Said, confirmed twice, audited
before it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import streamlit as st

from components import blocks, confirm, formats, operator
from components.api_client import LocalClient
from components.confirm import Step
from components.coordinator import form, words
from core.alarms.records import AuditEntry
from core.coordinator.asked import Coordination
from core.coordinator.settings import LONGEST_OVERRIDE, SiteSettings, written
from core.coordinator.view import Preview, SiteView

LONGEST_MIN = int(LONGEST_OVERRIDE.total_seconds() // 60)
WAYS = {"Charge": -1.0, "Rest": 0.0, "Discharge": 1.0}
MOST_NAMED = 500


def tools(client: LocalClient, known: Coordination, site: str) -> None:
    """Override and its end; a viewer sees them and why they do not work for him."""
    view, why = known.view(site), operator.why_not(client)
    if view.override is not None:
        if st.button("End override", key="coordinator_release", disabled=bool(why),
                     help=why or None, icon=":material/lock_open:"):
            _release(client, known, view)
        return
    if why:
        st.button("Override", key="coordinator_override", disabled=True, help=why,
                  icon=":material/pan_tool:")
        return
    with st.popover("Override", icon=":material/pan_tool:"):
        blocks.show(blocks.note(_can(view)))
        with st.form("coordinator_hold", border=False):
            way = st.radio("The fleet shall", list(WAYS), horizontal=True, index=1,
                           key="coordinator_way")
            power = st.number_input("At, kW", 0.0, 1e6, 0.0, 10.0, "%.1f", key="coordinator_kw")
            minutes = st.number_input("For, min", 1, LONGEST_MIN, 30, key="coordinator_min")
            reason = st.text_input("Why", key="coordinator_reason", max_chars=200)
            if st.form_submit_button("Continue", width="stretch", key="coordinator_hold_go"):
                _hold(client, known, view, WAYS[way or "Rest"] * float(power),
                      timedelta(minutes=int(minutes)), reason.strip())


def _can(view: SiteView) -> str:
    shares = [] if view.allocated is None else view.allocated.shares
    if not shares:
        return "What the packs can take and give is not known now."
    take, give = (sum(getattr(one, name) for one in shares) for name in ("charge_kw",
                                                                        "discharge_kw"))
    return f"Now the packs can take {formats.power(take)} and give {formats.power(give)}."


def _hold(client: LocalClient, known: Coordination, view: SiteView, power_kw: float,
          hold: timedelta, reason: str) -> None:
    end = formats.local_time(client.now() + hold, st.context.timezone)
    step = Step(
        view.site, f"override {power_kw} {hold} {reason}",
        f"Hold {view.label}: {words.signed(power_kw)}",
        f"All packs of {view.label} together are held {words.held(power_kw)}, as far as each of "
        f"them can; the plan does not drive meanwhile. {_now(view)}",
        f"It ends by itself at {end}.", "Hold the fleet", "pan_tool")
    confirm.ask(client, step, partial(_done, client, view, "override the coordinator",
                                      f"{words.signed(power_kw)} until {end}", reason,
                                      partial(known.override, view.site, power_kw, hold,
                                              why=reason, seen=view.settings)))


def _now(view: SiteView) -> str:
    if view.allocated is None:
        return ""
    return f"Now it is asked: {words.signed(view.allocated.sum_kw)}."


def _release(client: LocalClient, known: Coordination, view: SiteView) -> None:
    step = Step(view.site, "release", f"End the override of {view.label}",
                f"The plan of {words.NAMES[view.settings.controller]} drives {view.label} again "
                "at once.", "A new override can be given at any time.", "End override",
                "lock_open")
    confirm.ask(client, step, partial(_done, client, view, "end the coordinator's override", "",
                                      "", partial(known.release, view.site,
                                                  seen=view.settings)))


def _done(client: LocalClient, view: SiteView, action: str, after: str, why: str,
          do: Callable[[str], object], who: str) -> None:
    """Audited first: what cannot be written down is not done. Raises OrreryError."""
    before = "" if view.override is None else words.signed(view.override.power_kw)
    client.audit(AuditEntry(client.now(), who, action, view.element, "", why, before, after))
    do(who)


def apply_button(client: LocalClient, known: Coordination, view: SiteView, asked: SiteSettings,
                 changed: Sequence[str], seen: Preview | None, possible: bool) -> None:
    """The first of two steps."""
    why = operator.why_not(client)
    with st.container(horizontal=True, key="coordinator_apply_row"):
        if st.button("Apply", key="coordinator_apply", type="primary", help=why or None,
                     disabled=bool(why) or not possible, icon=":material/check:"):
            step = Step(view.site, f"settings {written(asked).decode()}",
                        f"Change how {view.label} is steered",
                        _effect(changed, seen, view.currency),
                        "The next plan is made by it at once; it holds until somebody changes it.",
                        "Apply", "tune")
            confirm.ask(client, step, partial(_done, client, view, "set the coordinator",
                                              "; ".join(changed)[:MOST_NAMED], "",
                                              partial(known.apply, view.site, asked,
                                                      seen=view.settings)))
        st.button("Put back", key="coordinator_reset", icon=":material/undo:", type="tertiary",
                  on_click=form.forget)
    if why:
        blocks.show(blocks.note(f"{why} Anybody may try what a change would do."))


def _effect(changed: Sequence[str], seen: Preview | None, currency: str) -> str:
    text = words.sentence("; ".join(changed))
    if seen is None or seen.before is None:
        return text
    change = seen.cost_change
    less = "less" if change < 0 else "more"
    return (f"{text} The next 24 hours would cost {formats.number(abs(change), 2)} {currency} "
            f"{less} than by the present plan.")
