"""The past of a house's channels, kept for as long as a refresh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.api_client import Client
from core.errors import OrreryError
from core.ports import Series, Tier

RECENT_S, SPARK_POINTS = 6 * 3600.0, 120


@st.cache_data(ttl=8, max_entries=64, show_spinner=False)
def recent(_client: Client, channels: tuple[str, ...], span_s: float, points: int,
           tier: Tier = "auto") -> list[Series]:
    """The last `span_s` [s] of channels; [] without history. Raises OrreryError."""
    end = _client.now()
    return _client.channel_series(channels, end - timedelta(seconds=span_s), end, points, tier)


@st.cache_data(ttl=120, max_entries=32, show_spinner=False)
def long_ago(_client: Client, channels: tuple[str, ...], span_s: float, tier: Tier,
             ) -> list[Series]:
    """As `recent`, for what changes slowly: every point of a tier. Raises OrreryError."""
    end = _client.now()
    return _client.channel_series(channels, end - timedelta(seconds=span_s), end,
                                  1_000_000, tier)


def sparks(client: Client, channels: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The last hours of channels for their cards; {} where history cannot be read, which the
    charts below tell."""
    try:
        found = recent(client, tuple(channels), RECENT_S, SPARK_POINTS)
    except OrreryError:
        return {}
    return {one.node_id: one.mean for one in found if one.mean.size}
