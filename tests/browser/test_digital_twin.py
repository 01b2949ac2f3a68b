"""The Digital twin: all packs, one of them closely, the ways there, and its file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS
from tests.twin_physics.bpx_cell import bpx

SITE = """
[[sources]]
kind = "fleet"
name = "fleet"
[sources.options]
seed = 7
systems = 1
counts = {cluster = [1, 1], rack = [2, 2], module = [2, 2], cell = [6, 6]}
past_hours = 2
[history]
backfill_hours = 2
"""
GIVEN_MS = 3 * WAIT_MS
"""A child imports PyBaMM first."""
DESKTOP, PHONE = (1440, 900), (390, 844)
MODULE = "system_0_cluster_0_rack_1_module_0"
WIDE = ("[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)")


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("twin")
    (folder / "orrery.toml").write_text(SITE)
    started = app_server(history=folder / "h", config=folder / "orrery.toml")
    yield started
    started.stop()


def visit(app: AppProcess, lend: Callable[..., Page], size: tuple[int, int],
          address: str) -> Page:
    page = lend(reduced_motion="reduce", viewport={"width": size[0], "height": size[1]})
    page.goto(f"{app.url}/{address}")
    return page


def rows(page: Page) -> Locator:
    return page.locator(".o-tw[data-pack]")


def head(page: Page) -> Locator:
    return page.locator("h1")


def test_from_all_packs_to_one_and_back(app: AppProcess, lend: Callable[..., Page],
                                        tmp_path: Path) -> None:
    page = visit(app, lend, DESKTOP, "digital_twin")
    expect(rows(page)).to_have_count(4, timeout=WAIT_MS)
    expect(head(page)).to_contain_text("4 packs")
    expect(rows(page).first).to_contain_text("Power System 0 › Cluster 0 › Rack")
    expect(rows(page).first).to_contain_text("as reported")
    page.locator(".o-tw.hd").get_by_role("button", name="Residual").click()
    expect(page).to_have_url(re.compile("twin_sort=Residual"), timeout=WAIT_MS)
    find = page.get_by_placeholder("Find a pack")
    find.fill("rack_1_module_0")
    find.press("Enter")
    expect(rows(page)).to_have_count(1, timeout=WAIT_MS)
    _export(page, tmp_path)
    rows(page).first.press("Enter")
    _closely(page)
    _given(page)
    page.get_by_role("button", name="All packs").click()
    expect(rows(page)).to_have_count(1, timeout=WAIT_MS)


def _export(page: Page, folder: Path) -> None:
    page.get_by_role("button", name="Export").click()
    with page.expect_download(timeout=WAIT_MS) as wanted:
        page.get_by_role("button", name="CSV of all packs").click()
    wanted.value.save_as(folder / "twin.csv")
    lines = (folder / "twin.csv").read_text().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith('"pack","name","chemistry","verdict"')
    page.keyboard.press("Escape")


def _closely(page: Page) -> None:
    """Its name and verdict, numbers with intervals, charts, what is not known and why."""
    expect(head(page)).to_contain_text("Module 0", timeout=WAIT_MS)
    expect(page).to_have_url(re.compile(f"pack={MODULE}"))
    main = page.locator(".stMain")
    expect(main).to_contain_text("Charge, estimated", timeout=WAIT_MS)
    expect(main).to_contain_text(re.compile(r"\d+ to \d+ %"), timeout=WAIT_MS)
    expect(main).to_contain_text("no charge between two rests that tell a charge", timeout=WAIT_MS)
    expect(main).to_contain_text("of a new cell's", timeout=WAIT_MS)
    expect(main).to_contain_text("Next 15 minutes", timeout=WAIT_MS)
    expect(main).to_contain_text("Capacity to 80 %", timeout=WAIT_MS)
    expect(main).to_contain_text("Calibration", timeout=WAIT_MS)
    expect(main).to_contain_text("Inside of the cell", timeout=WAIT_MS)
    expect(page.locator(".st-key-twin_voltage .js-plotly-plot, [class*=st-key-twin_voltage] "
                        ".js-plotly-plot").first).to_be_visible(timeout=WAIT_MS)
    expect(main).to_contain_text("Measured less modelled", timeout=WAIT_MS)
    assert page.evaluate(WIDE)


def _given(page: Page) -> None:
    """A parameter file is given, counts, and is removed; a hostile one is refused in words."""
    main = page.locator(".stMain")
    page.get_by_role("button", name="Give a file").click()
    chooser = page.locator("[data-testid=stFileUploaderDropzoneInput]")
    chooser.set_input_files({"name": "bad.json", "mimeType": "application/json",
                             "buffer": b'{"Parameterisation": {"a": NaN}}'})
    page.get_by_role("button", name="Read it").click(timeout=WAIT_MS)
    expect(main).to_contain_text("The file is not taken", timeout=GIVEN_MS)
    expect(main).to_contain_text("NaN is no number of JSON")
    page.get_by_role("button", name="Give a file").click()
    chooser.set_input_files({"name": "cell.json", "mimeType": "application/json",
                             "buffer": bpx(Title="<img src=x onerror=alert(1)>").encode()})
    page.get_by_role("button", name="Read it").click(timeout=WAIT_MS)
    expect(main).to_contain_text("It counts for this pack", timeout=GIVEN_MS)
    expect(main).to_contain_text("<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Remove").click()
    expect(main).not_to_contain_text("It counts for this pack", timeout=WAIT_MS)


def test_on_a_phone_and_from_space_balls(app: AppProcess, lend: Callable[..., Page]) -> None:
    page = visit(app, lend, PHONE, f"space_balls?path={MODULE}")
    page.get_by_role("button", name="Digital twin", exact=True).click(timeout=WAIT_MS)
    _closely(page)
    page.goto(f"{app.url}/digital_twin")
    expect(rows(page)).to_have_count(4, timeout=WAIT_MS)
    assert page.evaluate(WIDE)
