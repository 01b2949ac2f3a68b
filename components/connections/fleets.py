"""Brokers of fleets: what came, what is missing, what was refused and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from components import blocks, formats, operator
from components.api_client import Client, LocalClient
from components.blocks import Content
from components.connections import anew
from components.fleet.lines import clock
from components.markup import EMPTY, Html
from core.fleet.ports import FleetCounts, IngestTold, PackState, Refusal
from core.fleet.rejections import WORDS, Rejection

MOST_DEVICES = 12
"""Devices that are named; first those with something to say."""


def show(client: Client) -> None:
    """Of each fleet what came, what its devices refused, and its ingest; nothing where there is
    none."""
    for counts in client.fleet_counts():
        packs = [pack for pack in client.packs() if pack.site == counts.site]
        blocks.show(blocks.heading(f"Fleet {counts.site}", counts.broker), _state(counts),
                    _figures(counts, packs), _refused(counts.rejected, counts.last_refusal),
                    _devices(packs))
        for part in (_by_devices(packs), _ingest(counts)):
            if part:
                blocks.show(*part)


def reconnecting(client: LocalClient) -> None:
    """A button for each fleet with a broker; a viewer sees it and why it does not work for him."""
    with_broker = [counts for counts in client.fleet_counts() if counts.broker]
    for counts in with_broker:
        done = f"{counts.site} left its broker and comes back"
        said = anew.button(client, counts.source, f"Reconnect {counts.site}",
                           f"reconnect_{counts.source}", done)
        if said:
            icon = "sync" if said == done else "error"
            st.toast(blocks.markdown(said), icon=f":material/{icon}:")
    why = operator.refused(client)
    if with_broker and why:
        blocks.show(blocks.note(why))


def _state(counts: FleetCounts) -> Html:
    if counts.connected:
        return EMPTY
    return blocks.state_box(
        "cloud_off", "The broker is not reached", counts.broker,
        "It is tried again and again. See that it runs, and that name and password are right.",
        error=True)


def _figures(counts: FleetCounts, packs: Sequence[PackState]) -> Html:
    lag = "not known" if counts.lag_s is None else f"{formats.number(counts.lag_s, 2)} s"
    online = sum(pack.link == "online" for pack in packs)
    rejected = sum(counts.rejected.values())
    told = [("Devices online", f"{online} of {len(packs)}"),
            ("Messages", f"{formats.number(counts.rate, 1)} /s"),
            ("Lag", lag),
            ("Received", formats.number(counts.received)),
            ("Missing", formats.number(counts.missing)),
            ("Duplicate", formats.number(counts.duplicate)),
            ("Late", formats.number(counts.late)),
            ("Rejected", formats.number(rejected))]
    return _facts(told)


def _facts(told: Sequence[tuple[str, str]]) -> Html:
    """(name, value) in a line."""
    return Html('<div class="o o-facts">' + "".join(
        f'<span><b class="num">{escape(value)}</b> {escape(name)}</span>'
        for name, value in told) + "</div>")


def _refused(rejected: Mapping[str, int], last: Refusal | None) -> Html:
    """Each reason with its words; the last payload as it came, cut and escaped."""
    if not rejected:
        return EMPTY
    rows = "".join(
        f'<div class="o-row o-refusal"><span class="num">{formats.number(count)}</span>'
        f"<span>{escape(name.replace('_', ' '))}</span>"
        f'<span class="mut">{escape(_words(name))}</span></div>'
        for name, count in sorted(rejected.items(), key=lambda item: -item[1]))
    return Html(f'<div class="o o-rows">{rows}{_last(last)}</div>')


def _last(last: Refusal | None) -> str:
    if last is None:
        return ""
    return ('<div class="mut o-last">Last: '
            f"{escape(formats.local_time(last.at, st.context.timezone))}, "
            f"{escape(last.topic)}: {escape(last.words)}</div>"
            f'<pre class="o-payload">{escape(last.text)}</pre>')


def _by_devices(packs: Sequence[PackState]) -> list[Content]:
    """What devices refused themselves, with whose; commands and allocations never come here."""
    sums: Counter[str] = Counter()
    for pack in packs:
        sums.update(pack.rejected)
    if not sums:
        return []
    rows = "".join(
        f'<div class="o-row o-refusal"><span class="num">{formats.number(count)}</span>'
        f"<span>{escape(name.replace('_', ' '))}</span>"
        f'<span class="mut">{escape(_whose(name, packs))}: {escape(_words(name))}</span></div>'
        for name, count in sums.most_common())
    told = [pack.last_refusal for pack in packs if pack.last_refusal is not None]
    last = max(told, key=lambda one: one.at, default=None)
    return [blocks.heading("Refused by the devices themselves", "and what they could not send"),
            Html(f'<div class="o o-rows">{rows}{_last(last)}</div>')]


def _whose(name: str, packs: Sequence[PackState]) -> str:
    labels = [pack.label for pack in packs if name in pack.rejected]
    more = len(labels) - MOST_DEVICES
    return ", ".join(labels[:MOST_DEVICES]) + (f" and {more} more" if more > 0 else "")


def _ingest(counts: FleetCounts) -> list[Content]:
    """What the process that stores messages tells of itself; nothing where there is no broker."""
    told = counts.ingest
    if not counts.broker:
        return []
    head = blocks.heading(f"Ingest of {counts.site}", "stores each message once")
    if told is None:
        return [head, blocks.note("No ingest tells anything. See that it runs, and that the "
                                  "broker lets it write its report.")]
    return [head, _ingest_state(told), _behind(told), _ingest_figures(told),
            _refused(told.said.rejected, told.last_refusal)]


def _ingest_state(told: IngestTold) -> Html:
    if told.runs and not told.said.trouble:
        return EMPTY
    since = formats.local_time(told.heard_at, st.context.timezone)
    if not told.runs:
        return blocks.state_box(
            "cloud_off", "The ingest is gone", f"since {since}",
            "Nothing is stored now; the devices keep what they measure. Start it.", error=True)
    return blocks.state_box("database_off", "The ingest cannot store", told.said.trouble,
                            "It tries again and again; the devices keep what they measure.",
                            error=True)


def _behind(told: IngestTold) -> Html:
    """Of several stores, those that lack something."""
    if not (told.runs and told.said.behind):
        return EMPTY
    return blocks.state_box("database_off", "A store is behind", told.said.behind,
                            "The first store has everything. The rest is handed on by itself when "
                            "this one answers; see that it runs.")


def _ingest_figures(told: IngestTold) -> Html:
    said = told.said
    lag = "not known" if said.lag_p95_s is None else f"{formats.number(said.lag_p95_s, 2)} s"
    return _facts([(name, value if isinstance(value, str) else formats.number(value))
                   for name, value in (
                       ("Stored", said.stored), ("Lag to the commit, 95 % below", lag),
                       ("Duplicate", said.duplicate), ("Late", said.late),
                       ("Given up by devices", said.given_up), ("Waiting", said.waiting),
                       ("Without room", said.overflow),
                       ("Rejected", sum(said.rejected.values())))])


def _words(name: str) -> str:
    return WORDS[Rejection(name)] if name in set(Rejection) else ""


def _devices(packs: Sequence[PackState]) -> Html:
    """Those that miss something, are not online, or have a clock that is off."""
    odd = [pack for pack in packs
           if pack.link != "online" or pack.missing or pack.dropped or pack.pending > 1
           or clock(pack)]
    if not odd:
        return EMPTY
    rows = "".join(
        f'<div class="o-row o-refusal"><span>{escape(pack.label)}</span><span>{pack.link}</span>'
        f'<span class="mut">{_owing(pack)}</span></div>' for pack in odd[:MOST_DEVICES])
    more = len(odd) - MOST_DEVICES
    rest = f'<div class="mut">and {more} more</div>' if more > 0 else ""
    return Html(f'<div class="o o-rows">{rows}{rest}</div>')


def _owing(pack: PackState) -> str:
    told = [(pack.missing, "missing"), (pack.pending, "waiting in its outbox"),
            (pack.dropped, "given up by it"), (pack.duplicate, "duplicate"), (pack.late, "late")]
    owing = [f"{formats.number(count)} {words}" for count, words in told if count]
    return ", ".join([*owing, clock(pack)] if clock(pack) else owing)
