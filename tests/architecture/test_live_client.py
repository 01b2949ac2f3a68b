"""The session bench's client does what a browser does for a live page."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from bench._live_client import LiveClient
from bench.session import observe, ramp, report
from scripts.app_process import AppProcess

HOME = """
import streamlit as st
st.navigation([st.Page("still.py", default=True), st.Page("live.py"),
               st.Page("large.py")]).run()
"""
LIVE = """
import streamlit as st

@st.fragment(run_every=1.0)
def fast():
    st.session_state.fast = st.session_state.get("fast", 0) + 1
    st.metric("fast", st.session_state.fast)

@st.fragment(run_every=0.5)
def faster():
    st.write("faster")

st.title("live")
fast()
faster()
"""
LARGE = """
import streamlit as st

@st.fragment(run_every=0.2)
def other_each_time():
    st.session_state.runs = st.session_state.get("runs", 0) + 1
    st.html(f"<p>{st.session_state.runs}{20_000 * 'x'}</p>")

st.html(f"<p>the same{20_000 * 'y'}</p>")
other_each_time()
"""
"""Both are large enough for Streamlit to have browsers keep them."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("app")
    for name, text in {"Home.py": HOME, "live.py": LIVE, "large.py": LARGE,
                       "still.py": "import streamlit as st\nst.write('still')"}.items():
        (folder / name).write_text(text)
    with AppProcess("Home.py", root=folder) as started:
        yield started


async def until_refreshed(client: LiveClient, count: int) -> None:
    while len(client.refreshes) < count:
        await asyncio.sleep(0.05)


def test_live_fragments_are_driven_at_their_own_pace(app: AppProcess) -> None:
    async def live() -> LiveClient:
        async with LiveClient(app.url, "live") as client:
            await asyncio.wait_for(until_refreshed(client, 9), 20)
        return client

    client = asyncio.run(live())
    assert client.full_runs == 1
    assert client.failed_runs == 0
    assert sorted(client.intervals.values()) == [0.5, 1.0]
    runs = Counter(client.intervals[refresh.fragment] for refresh in client.refreshes)
    assert runs[0.5] > runs[1.0] >= 2
    assert all(refresh.latency_s > 0 and refresh.size > 0 for refresh in client.refreshes)


def test_it_forgets_messages_as_a_browser_does(app: AppProcess) -> None:
    """It tells them with each request, and the server keeps what it tells."""
    async def large() -> LiveClient:
        async with LiveClient(app.url, "large") as client:
            await asyncio.wait_for(until_refreshed(client, 12), 20)
        return client

    still, longest = 1, 2
    assert still < len(asyncio.run(large()).cached.hashes) <= still + longest + 1


def test_a_page_without_live_fragments_only_runs_once(app: AppProcess) -> None:
    async def still() -> LiveClient:
        async with LiveClient(app.url, "") as client:
            await asyncio.wait_for(client.first_run.wait(), 20)
        return client

    client = asyncio.run(still())
    assert (client.full_runs, client.intervals, client.refreshes) == (1, {}, [])


def test_a_window_counts_rounds_and_not_fragments(app: AppProcess) -> None:
    async def window() -> tuple[int, int]:
        async with LiveClient(app.url, "live") as client:
            await asyncio.wait_for(client.first_run.wait(), 20)
            load = await observe([client], app.pid, 3.0)
        return load.refreshes, load.fragment_runs

    rounds, runs = asyncio.run(window())
    assert 0 < rounds < runs


def test_a_ramp_becomes_figures(app: AppProcess) -> None:
    loads = asyncio.run(ramp(app.url, app.pid, "live", (1, 2), 2.0))
    assert [load.sessions for load in loads][0] == 1
    metrics = {line["metric"] for line in report(loads, 0.0)}
    assert {"CPU per refresh", "bytes per refresh", "RSS per session", "sessions held"} <= metrics
