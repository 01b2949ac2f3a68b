"""The standalone viewer page: the bundle of the installed package `orrery_spheres` as it is.

The package is looked up and not imported, because importing it would bring Streamlit along.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.looking import Looking
from services.gateway.viewer_door import ViewerDoor

PACKAGE = "orrery_spheres"
PAGE = "standalone.html"
NOT_INSTALLED = """The viewer is not installed here; the WebSocket works without it.

Install it with the Python that runs this server and start it again:

    python -m pip install ./components/spheres

(in Orrery's folder; `make setup` does that and everything else).
"""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "; ".join([
        "default-src 'self'", "connect-src 'self' ws: wss:", "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:", "object-src 'none'", "base-uri 'none'",
        "form-action 'self'", "frame-ancestors 'self'"]),
}


class SecurityHeaders:
    """ASGI middleware that adds HEADERS to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def assets_dir() -> Path | None:
    """The folder of the viewer's bundle; None where the viewer is not installed or not built."""
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        assets = Path(folder) / "assets"
        if (assets / PAGE).is_file():
            return assets
    return None


def viewer_routes(path: str, socket_path: str, looking: Looking) -> list[BaseRoute]:
    """The page and its files under `path`, talking to the WebSocket at `socket_path`.

    At "/" the page finds the WebSocket by itself; elsewhere its address names it, and pages stand
    above it.
    """
    assets = assets_dir()
    door = ViewerDoor(looking, path != "/")
    page = _Page(assets, socket_path if path != "/" else "", door)
    inside: list[BaseRoute] = [Route("/", page.show), Route("/", door.enter, methods=["POST"])]
    if assets is not None:
        inside.append(Route("/{name}", StaticFiles(directory=assets)))
    found: list[BaseRoute] = []
    if path != "/":
        found.append(Route(path, page.redirect))
    found.append(Mount(path, routes=inside, middleware=[Middleware(SecurityHeaders)]))
    return found


class _Page:
    """socket_path: what `?ws=` must name; "" where the page needs no `?ws=`."""

    def __init__(self, assets: Path | None, socket_path: str, door: ViewerDoor) -> None:
        self._assets, self._socket_path, self._door = assets, socket_path, door

    async def show(self, request: Request) -> Response:
        """The page, what to install, who asks, or the way to the page's full address."""
        if self._assets is None:
            return PlainTextResponse(NOT_INSTALLED, status_code=503)
        if not await self._door.is_open(request):
            return self._door.ask()
        if self._socket_path and "ws" not in request.query_params:
            return await self.redirect(request)
        return FileResponse(self._assets / PAGE, media_type="text/html")

    async def redirect(self, request: Request) -> Response:
        """Relative, so that it holds behind a proxy that adds a prefix."""
        asked = [*request.query_params.multi_items(), ("ws", self._socket_path)]
        folder = "" if request.url.path.endswith("/") else request.url.path.rpartition("/")[2] + "/"
        return RedirectResponse(f"{folder}?{urlencode(asked)}", status_code=307)
