"""What the form of a new source asks is what its kind understands."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import msgspec
import pytest

from components.house.connect import KINDS, _options
from core.parsing import as_model
from core.registry import SOURCES
from tests.sources.web import Web, data

RENAMED = {"instance", "battery_name"}
"""Of venus, gathered under `batteries`."""


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_is_an_option(kind: str) -> None:
    fields = {one.name: one for one in msgspec.structs.fields(
        import_module(SOURCES[kind]).Options)}
    asked = {one.key for one in KINDS[kind][1]} - (RENAMED if kind == "venus" else set())
    assert asked <= set(fields)
    needed = {name for name, one in fields.items() if one.required} - {"house", "batteries"}
    assert needed <= asked, "what must be given can be given"


@pytest.mark.parametrize(("path", "asked"), [
    ("/price?bzn=SE3", {"bzn": "SE3"}), ("/price", {}), ("/price?a=1&b=x%20y", {
        "a": "1", "b": "x y"})])
def test_prices_are_asked_for_as_the_form_says(path: str, asked: dict[str, str]) -> None:
    module = import_module(SOURCES["prices-http"])
    with Web() as web:
        web.at("/price", data({"unix_seconds": [1772406000, 1772409600], "price": [80, 90]}))
        values: dict[str, Any] = {one.key: one.default for one in KINDS["prices-http"][1]}
        values |= {"base_url": web.url, "path": path, "preset": "energy-charts"}
        options = as_model(_options("prices-http", values, "home"), module.Options, "file", "form")
        assert web.host in module.probe(options)
        assert [(one.path, one.query) for one in web.asked] == [("/price", asked)]
