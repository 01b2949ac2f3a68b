"""What a page says reaches the browser without a hole, also where a part runs again before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests
from streamlit.testing.v1 import AppTest

from components._compat import (
    MOST_UNSENT,
    hear_it_out,
    say_no_more_than_is_heard,
    send_all_that_was_said,
    stay_on_the_page,
)


@pytest.fixture(autouse=True)
def _sends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForwardMsgQueue, "clear",
                        getattr(ForwardMsgQueue.clear, "plain", ForwardMsgQueue.clear))
    send_all_that_was_said()
    send_all_that_was_said()


def delta(path: list[int], fragment: str = "", block: bool = False, text: str = "") -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path.extend(path)
    if block:
        message.delta.add_block.SetInParent()
    else:
        message.delta.new_element.markdown.body = text
    if fragment:
        message.delta.fragment_id = fragment
    return message


def finished() -> ForwardMsg:
    message = ForwardMsg()
    message.script_finished = ForwardMsg.ScriptFinishedStatus.FINISHED_SUCCESSFULLY
    return message


def told(queue: ForwardMsgQueue) -> list[tuple[list[int], str]]:
    return [(list(one.metadata.delta_path), one.delta.new_element.markdown.body)
            for one in queue.flush() if one.HasField("delta")]


def a_page() -> ForwardMsgQueue:
    """Of three parts, of which the second is a fragment; nothing of it was sent yet."""
    queue = ForwardMsgQueue()
    for message in (delta([0, 0], text="head"), delta([0, 1], "part", block=True),
                    delta([0, 1, 0], "part", text="before"), delta([0, 2], text="foot"),
                    finished()):
        queue.enqueue(message)
    return queue


def test_a_part_that_runs_again_leaves_no_hole_in_a_page_that_is_new() -> None:
    queue = a_page()
    queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=["part"])
    queue.enqueue(delta([0, 1], "part", block=True))
    queue.enqueue(delta([0, 1, 0], "part", text="after"))
    assert told(queue) == [([0, 0], "head"), ([0, 1], ""), ([0, 1, 0], "before"),
                           ([0, 2], "foot"), ([0, 1], ""), ([0, 1, 0], "after")]


def test_a_page_that_runs_again_whole_forgets_what_was_not_sent() -> None:
    queue = a_page()
    queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=None)
    assert told(queue) == []
    queue = a_page()
    queue.clear()
    assert queue.is_empty()


def test_a_part_runs_on_the_page_where_the_session_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a whole page on that which was asked for, which may be another."""
    ran: list[RerunData] = []
    monkeypatch.setattr(ScriptRunner, "_run_script", lambda _, asked: ran.append(asked))
    stay_on_the_page()
    stay_on_the_page()
    pages = PagesManager("Home.py")
    pages.set_current_page_script_hash("new")
    runner = SimpleNamespace(_pages_manager=pages)
    for asked in (RerunData(page_script_hash="before", fragment_id_queue=["part"]),
                  RerunData(page_script_hash="other")):
        ScriptRunner._run_script(runner, asked)  # type: ignore[arg-type]
    assert [one.page_script_hash for one in ran] == ["new", "other"]


class Session:
    """One whose runner has ended; what that said last is on its way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._event_loop, self._state = loop, AppSessionState.APP_IS_RUNNING
        self._scriptrunner: ScriptRequests | None = ScriptRequests()
        self._scriptrunner.on_scriptrunner_ready()
        self.fragments = {"part"}

    def has_fragment(self, fragment: str) -> bool:
        return fragment in self.fragments

    def _create_scriptrunner(self, asked: RerunData) -> None:
        AppSession._create_scriptrunner(self, asked)  # type: ignore[arg-type]

    def request_rerun(self, fragment: str) -> None:
        """As Streamlit does for a fragment whose runner takes no more requests."""
        self._create_scriptrunner(RerunData(fragment_id=fragment))

    def wait(self) -> None:
        self._event_loop.run_until_complete(asyncio.sleep(0.05))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[RerunData]:
    """What new runners were made for."""
    made: list[RerunData] = []
    monkeypatch.setattr(AppSession, "_create_scriptrunner", lambda _, asked: made.append(asked))
    hear_it_out()
    hear_it_out()
    return made


@pytest.fixture
def session() -> Iterator[Session]:
    loop = asyncio.new_event_loop()
    yield Session(loop)
    loop.close()


def test_a_part_waits_until_what_was_said_before_is_heard(
        started: list[RerunData], session: Session) -> None:
    session.request_rerun("part")
    session.wait()
    assert started == []
    session._scriptrunner = None  # what a session does at a runner's last word
    session.wait()
    assert [one.fragment_id for one in started] == ["part"]


def test_a_part_that_waited_goes_to_the_runner_that_came_meanwhile(
        started: list[RerunData], session: Session) -> None:
    session.request_rerun("part")
    session._scriptrunner = runner = ScriptRequests()
    session.wait()
    assert started == []
    assert runner.on_scriptrunner_ready().rerun_data.fragment_id_queue == ["part"]


def test_a_part_that_is_gone_and_one_of_somebody_who_left_do_not_run(
        started: list[RerunData], session: Session) -> None:
    session.request_rerun("part")
    session.fragments.clear()
    session._scriptrunner = None
    session.wait()
    assert started == []
    session.request_rerun("part")
    assert [one.fragment_id for one in started] == ["part"]
    session._scriptrunner = ScriptRequests()
    session._scriptrunner.request_stop()
    session.fragments.add("part")
    session.request_rerun("part")
    session._state, session._scriptrunner = AppSessionState.SHUTDOWN_REQUESTED, None
    session.wait()
    assert len(started) == 1


def test_a_part_is_not_timed_anew_while_much_is_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(AppSession, "request_rerun",
                        lambda _, state: asked.append(state.fragment_id if state else "all"))
    say_no_more_than_is_heard()
    say_no_more_than_is_heard()
    queue = ForwardMsgQueue()
    session = SimpleNamespace(_browser_queue=queue)

    def ask(state: ClientState | None) -> None:
        AppSession.request_rerun(session, state)  # type: ignore[arg-type]

    for number in range(MOST_UNSENT):
        queue.enqueue(delta([0, number]))
    ask(ClientState(fragment_id="in time", is_auto_rerun=True))
    queue.enqueue(delta([1]))
    ask(ClientState(fragment_id="too much", is_auto_rerun=True))
    ask(ClientState(fragment_id="pressed"))
    ask(None)
    queue.flush()
    ask(ClientState(fragment_id="sent", is_auto_rerun=True))
    assert asked == ["in time", "pressed", "all", "sent"]


def door() -> None:
    import streamlit as st
    from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

    from components._compat import stop_here

    context = get_script_run_ctx()
    assert context is not None
    context.fragment_storage.register("of the page before", lambda: None)
    st.fragment(lambda: st.text("of this page"), key="here")()
    st.session_state["storage"] = context.fragment_storage
    stop_here()
    st.text("never")


def test_a_page_that_ends_early_forgets_the_parts_of_the_page_before(
        installed_once: None) -> None:
    app = AppTest.from_function(door).run()
    assert not app.exception
    assert [one.value for one in app.text] == ["of this page"]
    storage = app.session_state["storage"]
    assert not storage.contains("of the page before")
    assert len(storage.resolve_target("here")) == 1
