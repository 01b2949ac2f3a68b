"""A browser's half of Streamlit's protocol, without the browser.

Live fragments are driven by the browser: the server says once "rerun fragment F each T
seconds", and the browser asks for it until told to stop. This client does the same, so a
bench can hold many sessions on one core.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect


@dataclass(frozen=True, slots=True)
class Refresh:
    """One answered request for a live fragment.

    finished: time.monotonic() [s]. latency_s: from asking to the end of the run [s].
    size: bytes of all messages since the previous run ended [B].
    """

    fragment: str
    finished: float
    latency_s: float
    size: int


class BrowserCache:
    """The messages that a browser keeps, whose hashes it tells with each request: the server does
    not send them again. As Streamlit's own (frontend/connection/src/ForwardMessageCache.ts), one
    goes when its fragment, or the page, has run more than `longest` times without it."""

    def __init__(self) -> None:
        self._longest, self._runs = 0, 0
        self._kept: dict[str, tuple[str, int]] = {}

    @property
    def hashes(self) -> list[str]:
        return list(self._kept)

    def take(self, message: ForwardMsg) -> None:
        """Keep it where it may be kept, or what it refers to for longer."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._longest = message.new_session.config.max_cached_message_age
        known = message.ref_hash if kind == "ref_hash" else message.hash
        if known in self._kept:
            self._kept[known] = self._kept[known][0], self._runs
        elif kind != "ref_hash" and message.metadata.cacheable and known:
            self._kept[known] = message.delta.fragment_id, self._runs

    def end_run(self, fragments: Sequence[str]) -> None:
        """fragments: that ran; none where it was the page."""
        self._runs += 1
        self._kept = {known: (fragment, used) for known, (fragment, used) in self._kept.items()
                      if (fragments and fragment not in fragments)
                      or self._runs - used <= self._longest}


@dataclass
class LiveClient:
    """One session on one page. `async with LiveClient(url, "space_balls") as client: ...`

    first_size: bytes of all messages until the first run ended [B]. cached: what it holds.
    """

    url: str
    page: str
    query: str = ""
    refreshes: list[Refresh] = field(default_factory=list)
    intervals: dict[str, float] = field(default_factory=dict)
    full_runs: int = 0
    first_size: int = 0
    failed_runs: int = 0
    cached: BrowserCache = field(default_factory=BrowserCache)
    first_run: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: dict[str, float] = field(default_factory=dict)
    _timers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _page_hash: str = ""
    _size: int = 0
    _socket: ClientConnection | None = None
    _reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LiveClient:
        address = self.url.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket = await connect(address, max_size=None, compression=None, proxy=None)
        self._reader = asyncio.create_task(self._read())
        await self._ask()
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._timers.values(), *([self._reader] if self._reader else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def refresh(self, fragment: str) -> None:
        """Ask for one run of a fragment now, and wait until it is done."""
        done = len(self.refreshes)
        await self._ask(fragment)
        while len(self.refreshes) == done:
            await asyncio.sleep(0.005)

    async def _ask(self, fragment: str = "") -> None:
        """Ask for a run: of the page, or of one fragment."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self.query
        if self._page_hash:
            state.page_script_hash = self._page_hash
        else:
            state.page_name = self.page
        state.fragment_id = fragment
        state.is_auto_rerun = bool(fragment)
        state.cached_message_hashes.extend(self.cached.hashes)
        state.context_info.timezone = "UTC"
        state.context_info.locale = "en-GB"
        state.context_info.url = f"{self.url}/{self.page}"
        if fragment:
            self._asked.setdefault(fragment, time.monotonic())
        if self._socket is not None:
            await self._socket.send(message.SerializeToString())

    async def _read(self) -> None:
        """Take every message of the server until the connection ends."""
        if self._socket is None:
            return
        async for data in self._socket:
            raw = data if isinstance(data, bytes) else data.encode()
            self._size += len(raw)
            self._take(ForwardMsg.FromString(raw))

    def _take(self, message: ForwardMsg) -> None:
        self.cached.take(message)
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._page_hash = message.new_session.page_script_hash or self._page_hash
            if not message.metadata.run.fragment_ids:
                self._stop_timers(list(self._timers))
        elif kind == "auto_rerun":
            self._start_timer(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            self._stop_timers(list(message.stop_auto_rerun.fragment_ids))
        elif kind == "script_finished":
            self._finish(message)

    def _start_timer(self, fragment: str, interval_s: float) -> None:
        if self.intervals.get(fragment) == interval_s and fragment in self._timers:
            return
        self._stop_timers([fragment])
        self.intervals[fragment] = interval_s
        self._timers[fragment] = asyncio.create_task(self._tick(fragment, interval_s))

    def _stop_timers(self, fragments: list[str]) -> None:
        for fragment in fragments:
            timer = self._timers.pop(fragment, None)
            self._asked.pop(fragment, None)
            if timer is not None:
                timer.cancel()

    async def _tick(self, fragment: str, interval_s: float) -> None:
        """The browser's setInterval: it asks whether or not it was answered."""
        due = time.monotonic() + interval_s
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += interval_s
            await self._ask(fragment)

    def _finish(self, message: ForwardMsg) -> None:
        """Count a run. A fragment's run that another run follows before its messages were sent
        is renamed to "early for rerun" in the server's queue, though it ran to its end and its
        elements are sent (streamlit/runtime/forward_msg_queue.py): it counts too.
        """
        status, fragments = message.script_finished, message.metadata.run.fragment_ids
        if status != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self.cached.end_run(fragments)
        size, self._size = self._size, 0
        if fragments:
            now = time.monotonic()
            answered = [fragment for fragment in fragments if fragment in self._asked]
            for fragment in answered:
                latency = now - self._asked.pop(fragment)
                self.refreshes.append(Refresh(fragment, now, latency, size // len(answered)))
        elif status == ForwardMsg.FINISHED_SUCCESSFULLY:
            self.full_runs += 1
            self.first_size = self.first_size or size
            self.first_run.set()
        elif status == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.failed_runs += 1
