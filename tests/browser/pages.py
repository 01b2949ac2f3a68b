"""Pages that tests use one after the other."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page

NOWHERE = "/_stcore/health"
"""A word of the same server: the app is left, what the browser has of it stays warm."""
FORGET = "() => { localStorage.clear(); sessionStorage.clear(); }"
SET_ANEW = {"viewport", "color_scheme", "reduced_motion"}
"""Options that a page takes at any time."""


class Pages:
    """To load the app costs a page that has loaded it before far less than a new one. What is
    given back has left the app, its storage and its cookies, and each load is a new session."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._idle: dict[str, list[Page]] = {}
        self._lent: list[tuple[Page, str]] = []

    def lend(self, **options: Any) -> Page:
        """As of a new context with these options, of which `viewport` is one; nobody else has
        it now."""
        kind = _kind(options)
        idle = self._idle.setdefault(kind, [])
        if idle:
            page = idle.pop()
            page.set_viewport_size(options["viewport"])
            page.emulate_media(color_scheme=options.get("color_scheme", "light"),
                               reduced_motion=options.get("reduced_motion", "no-preference"))
        else:
            page = self._browser.new_context(**options).new_page()
        self._lent.append((page, kind))
        return page

    def take_back(self) -> None:
        """All that are lent."""
        while self._lent:
            page, kind = self._lent.pop()
            if page.url.startswith("http"):
                page.goto(urljoin(page.url, NOWHERE))
                page.evaluate(FORGET)
                page.context.clear_cookies()
                page.mouse.move(0, 0)
            self._idle[kind].append(page)

    def close_others(self) -> None:
        """What somebody opened beside these pages."""
        kept = {page.context for pages in self._idle.values() for page in pages}
        for context in self._browser.contexts:
            if context not in kept:
                context.close()


def _kind(options: dict[str, Any]) -> str:
    return repr(sorted(one for one in options.items() if one[0] not in SET_ANEW))
