"""The head of every live page: the answer as a title, freshness below it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from components import blocks, describe, formats
from components.api_client import Client
from components.blocks import Content, Html


def head(client: Client, node: int, hints: Sequence[Content] = ()) -> None:
    """Title of the state of `node`, freshest age, what is silent, local time."""
    topology, snapshot = client.topology, client.snapshot()
    parts = describe.title_parts(topology, snapshot, node)
    blocks.show(blocks.title(*parts, sub=[*_freshness(client, node), *hints]))


def _freshness(client: Client, node: int) -> list[Content]:
    snapshot = client.snapshot()
    age_s = float(snapshot.frame.age_s[node])
    if math.isnan(age_s):
        return [blocks.pill("silent", "Waiting for the first reading")]
    stale = bool(snapshot.frame.stale[node])
    mark = _mark(client.past is not None, stale)
    missing = 1 - float(snapshot.frame.coverage[node])
    words: list[Content] = [mark, f"newest {formats.age(age_s)} ago"]
    if missing > 0:
        words.append(blocks.strong(f"{100 * missing:.1f} % of the cells are silent"))
    kinds = client.systems_by_kind() if node == 0 else {}
    words += [blocks.pill(kind, f"{count} {kind}") for kind, count in kinds.items()
              if kind != "live"]
    return [*words, formats.local_time(snapshot.frame.time, st.context.timezone)]


def _mark(past: bool, stale: bool) -> Html:
    if past:
        return blocks.pill("stale", "Not live")
    return blocks.pill("stale", "Stale") if stale else blocks.pill("live", "Live")
