"""Data comparison: one battery's state of charge as its sources tell it, and which to trust."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from components import blocks, formats, trends
from components import charts as plots
from components.api_client import Client
from components.blocks import Html, LegendItem
from components.formats import Text
from components.house import charts, past
from components.series_math import alt, has_data
from core.comparison import Account, Judged, Judgement, current_of, judge
from core.credibility import Change
from core.devices import Device, channel_id
from core.errors import OrreryError
from core.household import Household
from core.houses import House
from core.ports import Series, Tier

SPAN_S = 7 * 86400.0
EVERY_POINT = 20_000
DRAWN_POINTS = 500
COLLAPSE_SPAN_S = 3600.0
HUES = ("charge", "text3", "discharge")
WORDS = {"aligned": "believable", "never_synchronised": "never synchronised",
         "voltage_estimate": "estimated from voltage", "stale": "stale",
         "sign_inverted": "sign inverted", "collapse": "collapsed", "unknown": "not judged"}
PILLS = {"aligned": "cleared", "unknown": "plain", "voltage_estimate": "info",
         "never_synchronised": "info", "stale": "stale", "sign_inverted": "warning",
         "collapse": "warning"}


def show(client: Client, house: House) -> None:
    """Over the last seven days, and the last hour second by second for a collapse."""
    household, now_s = client.household(house.id), client.now().timestamp()
    blocks.show(blocks.heading("Data comparison", "state of charge over the last 7 days"))
    try:
        accounts = _accounts(client, household, SPAN_S)
        judgement = judged_now(client, household, accounts, now_s)
    except OrreryError as error:
        trends.unreadable(error)
        return
    if not accounts:
        blocks.show(blocks.state_box("compare_arrows", "Nothing to compare",
                                     "No source of this house has told a state of charge yet."))
        return
    with st.container(key="house_halves"):
        with st.container(key="panel_house_soc", gap=None):
            _chart(client, accounts, now_s)
        with st.container(key="panel_house_verdict", gap=None):
            blocks.show(*_verdict(judgement, now_s))


def judged_now(client: Client, household: Household, accounts: list[Account],
               now_s: float) -> Judgement:
    """The week's judgement; a collapse or a wrong sign of the last hour comes before it."""
    capacity_ah = household.house.capacity_ah
    week = judge(accounts, capacity_ah, now_s)
    hour = judge(_accounts(client, household, COLLAPSE_SPAN_S), capacity_ah, now_s)
    urgent = any(one.verdict.word == "collapse" for one in hour.judged)
    return hour if urgent else week


@st.cache_data(ttl=10, max_entries=100, show_spinner=False)
def alerts(_client: Client, house_id: str) -> list[tuple[str, str]]:
    """(device, word) of every state of charge that is not to be believed now, for the
    Overview; [] where history cannot be read, which is told elsewhere."""
    household, now_s = _client.household(house_id), _client.now().timestamp()
    try:
        accounts = _accounts(_client, household, COLLAPSE_SPAN_S)
        found = judge(accounts, household.house.capacity_ah, now_s)
    except OrreryError:
        return []
    return [(one.account.device.label, WORDS[one.verdict.word]) for one in found.judged
            if one.verdict.word in ("collapse", "sign_inverted")]


def _accounts(client: Client, household: Household, span_s: float) -> list[Account]:
    told = household.of_soc()
    needed = {channel_id(one.device.id, name) for one in told
              for name in ("soc_pct", "current_a", "battery_power_kw", "voltage_v")
              if name in one.device.quantities}
    tier: Tier = "minute" if span_s > COLLAPSE_SPAN_S else "auto"
    found = {one.node_id: one for one in past.recent(client, tuple(sorted(needed)), span_s,
                                                     EVERY_POINT, tier)}
    accounts = [_account(client, one.device, told[0].device, found) for one in told]
    return [one for one in accounts if one is not None and has_data(one.soc)]


def _account(client: Client, device: Device, counter: Device,
             found: dict[str, Series]) -> Account | None:
    soc = found.get(channel_id(device.id, "soc_pct"))
    own = _current(device, counter, found)
    counted = found.get(channel_id(counter.id, "current_a"))
    current = counted if own is None else own
    if soc is None or current is None:
        return None
    stale_after_s = client.status_of(device).info.stale_after_s
    return Account(device, soc, current, own is not None, stale_after_s)


def _current(device: Device, counter: Device, found: dict[str, Series]) -> Series | None:
    """The device's own, measured or from its power at the counter's voltage."""
    measured = found.get(channel_id(device.id, "current_a"))
    power = found.get(channel_id(device.id, "battery_power_kw"))
    volts = found.get(channel_id(counter.id, "voltage_v"))
    if measured is not None or power is None or volts is None:
        return measured
    return current_of(power, volts, 2.5 * max(power.resolution_s, volts.resolution_s))


def _chart(client: Client, accounts: list[Account], now_s: float) -> None:
    channels = tuple(one.soc.node_id for one in accounts)
    drawn = past.recent(client, channels, SPAN_S, DRAWN_POINTS)
    frame = charts.Frame(st.context.theme.type, st.context.timezone, (now_s - SPAN_S, now_s))
    told = {one.device.label: soc for one, soc in zip(accounts, drawn, strict=True)}
    items = [LegendItem(label, hue) for label, hue in zip(told, HUES, strict=False)]
    blocks.show(blocks.heading("State of charge", blocks.legend(items)))
    plots.show(charts.lines(told, HUES, "%", frame, (0, 103)), key="house_soc", height=260,
               alt=" ".join(alt(one.soc, one.device.label, frame.span, frame.zone)
                            for one in accounts),
               view=" ".join(one.soc.node_id for one in accounts))


def _verdict(judgement: Judgement, now_s: float) -> list[Html]:
    pairs = [blocks.Pair("Difference now", _percent(judgement, "now_pct")),
             blocks.Pair("Mean difference", _percent(judgement, "bias_pct")),
             blocks.Pair("Drift", _percent(judgement, "drift_pct_per_day", " % a day"))]
    for one in judgement.judged:
        pairs += _of_one(one, now_s)
    pills = [blocks.pill(PILLS[one.verdict.word],
                         f"{one.account.device.label}: {WORDS[one.verdict.word]}")
             for one in judgement.judged]
    return [blocks.details(trust_words(judgement), pills, pairs, note=judgement.sentence)]


def trust_words(judgement: Judgement) -> str:
    """Whom to believe; nobody is recommended before any was judged."""
    if all(one.verdict.word == "unknown" for one in judgement.judged):
        return "Not judged yet"
    return f"Trust {'neither' if judgement.trusted is None else judgement.trusted.label}"


def _percent(judgement: Judgement, name: str, unit: str = " %") -> Text:
    found = judgement.difference
    value = math.nan if found is None else float(getattr(found, name))
    return Text(formats.number(value, 1), unit.strip())


def _of_one(one: Judged, now_s: float) -> list[blocks.Pair]:
    """Reported against counted change, and when it was last full."""
    label = one.account.device.label
    source = "its own current" if one.account.own_current else "the counter's current"
    full = (f"{formats.age(now_s - one.full_s)} ago" if math.isfinite(one.full_s)
            else f"not in the {formats.age(_told_s(one.account.soc))} that are known")
    return [blocks.Pair(f"{label}: change", _changed(one.change), f"by {source}"
                        + ("" if one.change.whole else ", gaps left out")),
            blocks.Pair(f"{label}: full", full)]


def _changed(change: Change) -> str:
    if not math.isfinite(change.counted_pct):
        return "not counted yet"
    reported, counted = (formats.number(value, 0)
                         for value in (change.reported_pct, change.counted_pct))
    return f"{reported} % reported, {counted} % counted"


def _told_s(soc: Series) -> float:
    """For how long a device told its state of charge [s]."""
    known_s = np.full(soc.time_s.size, soc.resolution_s) if soc.known_s is None else soc.known_s
    return float(known_s[np.isfinite(soc.mean)].sum())
