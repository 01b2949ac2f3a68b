"""The tests' own `expect`: two of one name are waited out, and told where they stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.patience import TWICE, expect

TWO = "<p class=row>old</p><p class=row>new</p>"


def test_two_are_waited_out_and_told_where_they_stay(lend: Callable[..., Page]) -> None:
    page = lend(viewport={"width": 600, "height": 400})
    page.goto("about:blank")
    page.set_content(TWO)
    page.evaluate("setTimeout(() => document.querySelector('.row').remove(), 200)")
    expect(page.locator(".row")).to_have_text("new")
    page.set_content(TWO)
    with pytest.raises(AssertionError, match=TWICE):
        expect(page.locator(".row")).to_have_text("new", timeout=200)
    with pytest.raises(AssertionError, match="another"):
        expect(page.locator(".row").first).to_have_text("another", timeout=1)
