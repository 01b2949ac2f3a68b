"""Pages, REST, WebSocket and standalone viewer in one process: `streamlit run server.py`.

All share one engine, which stays for the process's life. The WebSocket is at `/ws`, the viewer
at `/viewer`, REST where it is documented (`/openapi.json`), figures at `/metrics`.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.routing import BaseRoute

from components._compat import (
    answer_at_once,
    heard_at,
    is_signed_in,
    leave_home_to_navigation,
    open_sessions,
)
from core.errors import OrreryError
from core.runtime import Runtime, pin_runtime
from services.gateway.app import routes

CANNOT_START = 2


def started() -> tuple[Runtime, list[BaseRoute]]:
    """The engine of this process and what is served beside its pages, or the end of the process
    with one line that says why."""
    try:
        engine = pin_runtime()
        return engine, routes(engine, socket_path="/ws", viewer_path="/viewer",
                              sessions=open_sessions, signed_in=is_signed_in,
                              heard_at=heard_at())
    except OrreryError as error:
        sys.stderr.write(f"Orrery cannot start: {error}\n")
        raise SystemExit(CANNOT_START) from None


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Stop the engine at the end: after SIGTERM nothing registered with atexit would run."""
    answer_at_once()
    yield
    atexit.unregister(runtime.stop)
    runtime.stop()


leave_home_to_navigation()
runtime, beside_pages = started()
app = st.App("Home.py", routes=beside_pages, lifespan=lifespan)
