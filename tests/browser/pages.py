"""Pages that the tests of a file use one after the other."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page

NOWHERE = "/_stcore/health"
"""A word of the same server: the app is left, what the browser has of it stays warm."""
FORGET = "() => { localStorage.clear(); sessionStorage.clear(); }"


class Pages:
    """To load the app costs a page that has loaded it before far less than a new one. What is
    given back has left the app, its storage and its cookies, and each load is a new session."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._idle: dict[str, list[Page]] = {}
        self._lent: list[tuple[Page, dict[str, Any]]] = []

    def lend(self, **options: Any) -> Page:
        """As of a new context with these options, of which `viewport` is one; nobody else has
        it now."""
        idle = self._idle.setdefault(_kind(options), [])
        page = idle.pop() if idle else self._browser.new_context(**options).new_page()
        self._lent.append((page, options))
        return page

    def take_back(self) -> None:
        """All that are lent."""
        while self._lent:
            page, options = self._lent.pop()
            if page.url.startswith("http"):
                page.goto(urljoin(page.url, NOWHERE))
                page.evaluate(FORGET)
                page.context.clear_cookies()
                page.mouse.move(0, 0)
            page.set_viewport_size(options["viewport"])
            page.emulate_media(color_scheme=options.get("color_scheme", "light"),
                               reduced_motion=options.get("reduced_motion", "no-preference"))
            self._idle[_kind(options)].append(page)


def _kind(options: dict[str, Any]) -> str:
    return repr(sorted(options.items()))
