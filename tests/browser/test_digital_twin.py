"""The Digital twin: all packs, one of them closely, the ways there, its file, what is asked of the
physics, and a pack that is doubted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from playwright.sync_api import Locator, Page

from core.config import load_config
from core.engine import Engine
from core.frames import Frame
from core.registry import make_sources
from core.runtime import RUNS_DIRECTORY, TRENDS_FILE, TWIN_DIRECTORY
from core.twin.rounds import task_of
from core.twin.tasks import Usage
from core.twin.trend import Line, Trend
from core.twin.usage import STANDARD
from scripts.app_process import AppProcess
from services.twin.cache import RunCache
from sim.fleet import Fleet
from store.embedded import EmbeddedStore
from store.twin import TrendDatabase
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect
from tests.components.twin_site import aged
from tests.twin_physics.bpx_cell import bpx

SITE = """
[[sources]]
kind = "fleet"
name = "fleet"
[sources.options]
seed = 7
systems = 1
counts = {cluster = [1, 1], rack = [2, 2], module = [2, 2], cell = [6, 6]}
past_hours = 4
[history]
backfill_hours = 4
"""
GIVEN_MS = 3 * WAIT_MS
"""A child imports PyBaMM first."""
DESKTOP, PHONE = (1440, 900), (390, 844)
MODULE = "system_0_cluster_0_rack_1_module_0"
DOUBTED = "system_0_cluster_0_rack_0_module_1"
"""Its voltages were told half as high as they are until the app began."""
FASTER = replace(STANDARD, discharge_c=0.3, charge_c=0.3)
"""A step of the slider above the use of a pack whose own is not known."""
WEEKS = 30
WIDE = ("[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)")


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("twin")
    (folder / "orrery.toml").write_text(SITE)
    _kept_of_before(folder / "h", _past_of_a_wrong_sensor(folder / "orrery.toml", folder / "h"))
    started = app_server(history=folder / "h", config=folder / "orrery.toml")
    yield started
    started.stop()


def _kept_of_before(history: Path, chemistry: str) -> None:
    """Ageing runs of two uses, as a night leaves them; half a year of what was found of a pack."""
    runs = RunCache(history / TWIN_DIRECTORY / RUNS_DIRECTORY)
    uses: dict[Usage, float] = {STANDARD: 0.06, FASTER: 0.09}
    for usage, loss_a_year in uses.items():
        task = task_of((chemistry, usage, ()))
        runs.keep(task, aged(task, loss_a_year))
    weeks = np.arange(WEEKS)
    time_s = time.time() - 7 * 86_400.0 * weeks[::-1]
    trends = TrendDatabase(history / TWIN_DIRECTORY / TRENDS_FILE)
    trends.keep({DOUBTED: Trend(Line.of(time_s, 0.97 - 0.001 * weeks, np.full(WEEKS, 0.02)),
                                Line.of(time_s, 1.05 + 0.004 * weeks, np.full(WEEKS, 0.05)))})
    trends.close()


def _past_of_a_wrong_sensor(config: Path, history: Path) -> str:
    """Four hours of minutes, up to now: enough charge moves in them to calibrate by. The chemistry
    of its packs."""
    told = load_config(config)
    engine = Engine(told.level_list, make_sources(told), with_alarms=False)
    (fleet,) = engine.sources
    assert isinstance(fleet, Fleet)
    store = EmbeddedStore(history, engine.topology)
    node = engine.topology.index(DOUBTED)
    wrong = [node, *range(*engine.topology.children(node).indices(engine.topology.size))]
    store.backfill(_half_as_high(engine, fleet, wrong), lambda reached: None)
    engine.stop()
    store.close()
    return engine.topology.chemistry_name(node) or ""


def _half_as_high(engine: Engine, fleet: Fleet, nodes: list[int]) -> Iterator[Frame]:
    assembler, now = engine.new_assembler(), engine.clock.now()
    for reading in fleet.backfill(now - timedelta(hours=4), now, 60.0):
        assembler.apply(0, reading)
        frame = assembler.frame(reading.measured_at)
        frame.columns["voltage_v"][nodes] /= 2.0
        yield frame


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
    _asked_to_age(page)
    _calibrated(page)
    _inside(page)
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


def _asked_to_age(page: Page) -> None:
    """Its life under its own use and under one that a slider tells; a run that is ended says so."""
    main, ask = page.locator(".stMain"), page.get_by_role("button", name="Ask the ageing model")
    lines = page.locator("[class*=st-key-twin_life] .scatterlayer .js-line")
    years = re.compile(r"\d ?years ?\d[\d.]* (to \d|or more)")
    ask.click()
    expect(card(page, "Under the present use")).to_contain_text(years, timeout=WAIT_MS)
    expect(card(page, "Loses most to")).to_contain_text("film on the graphite (SEI)")
    expect(main).to_contain_text("Own parameters, uncalibrated")
    own = lines.count()
    _one_step_faster(page)
    expect(card(page, "Under the other use")).to_contain_text("no ageing run yet", timeout=WAIT_MS)
    ask.click()
    expect(card(page, "Under the other use")).to_contain_text(years, timeout=WAIT_MS)
    expect(lines).to_have_count(own + 1)
    expect(main).to_contain_text("The other use loses most to")
    _one_step_faster(page)
    expect(card(page, "Under the other use")).to_contain_text("no ageing run yet", timeout=WAIT_MS)
    expect(lines).to_have_count(own)
    ask.click()
    doing = page.locator(".st-key-twin_doing_forecast_0")
    expect(doing.get_by_role("progressbar")).to_be_visible(timeout=WAIT_MS)
    doing.get_by_role("button", name="Cancel").click()
    expect(doing).to_have_count(0, timeout=WAIT_MS)
    expect(page.locator(".stMain")).to_contain_text("It was ended before it had a result",
                                                    timeout=WAIT_MS)


def card(page: Page, label: str) -> Locator:
    return page.locator(".o-card").filter(has=page.get_by_text(label, exact=True))


def _one_step_faster(page: Page) -> None:
    page.get_by_role("slider", name="C-rate").press("ArrowRight")


def _inside(page: Page) -> None:
    """Concentrations, overpotentials and the modelled temperature are drawn; the measured one has
    holes where minutes alone are known."""
    lines = page.locator(".scatterlayer .js-line")
    for name in ("negative_surface", "negative_reaction_v"):
        drawn(page.locator(f".st-key-panel_twin_{name}").locator(lines), GIVEN_MS)
    drawn(page.locator(".st-key-panel_twin_measured_c").locator(lines).last, GIVEN_MS)


def drawn(lines: Locator, wait_ms: float) -> None:
    """Each is a line across the chart."""
    expect(lines.first).to_be_attached(timeout=wait_ms)
    assert min(lines.evaluate_all("lines => lines.map(line => line.getTotalLength())")) > 80


def _calibrated(page: Page) -> None:
    """It is ended once; then it says what it found, before and after."""
    doing = page.locator(".st-key-twin_doing_calibration")
    page.get_by_role("button", name="Calibrate", exact=True).click()
    expect(doing.get_by_role("progressbar")).to_be_visible(timeout=WAIT_MS)
    doing.get_by_role("button", name="Cancel").click()
    expect(doing).to_have_count(0, timeout=WAIT_MS)
    page.get_by_role("button", name="Calibrate again").click(timeout=WAIT_MS)
    expect(doing.get_by_role("progressbar")).to_be_visible(timeout=WAIT_MS)
    fitted = page.locator(".o-tw-fit")
    expect(fitted).to_have_count(6, timeout=2 * GIVEN_MS)
    expect(page.locator(".o-tw-said")).to_contain_text(re.compile("Accepted|Not accepted"))
    expect(fitted.first).to_contain_text(re.compile("Before.*After.*95 % interval"))
    expect(fitted.nth(2)).to_contain_text(re.compile(r"not seen.*\d mV.*\d mV"))


def test_a_pack_that_is_doubted_is_named_and_found_from_the_overview(
        app: AppProcess, lend: Callable[..., Page]) -> None:
    page = visit(app, lend, DESKTOP, "overview")
    doubted = page.locator(".o-doubt")
    expect(doubted).to_have_count(1, timeout=WAIT_MS)
    expect(doubted).to_contain_text("Module 1, Power System 0")
    expect(doubted).to_contain_text("does not fit: ")
    page.get_by_role("button", name="Digital twin of Module 1").click()
    expect(head(page)).to_contain_text("Module 1 does not fit its model", timeout=WAIT_MS)
    expect(page).to_have_url(re.compile(f"pack={DOUBTED}"))
    expect(page.locator(".o-verdict")).to_contain_text("Check capacity and number of cells")
    for key, what in (("capacity", "Capacity"), ("growth", "Resistance")):
        points = page.locator(f"[class*=st-key-twin_{key}_trend] .scatterlayer path.point")
        expect(points.nth(WEEKS // 2)).to_be_visible(timeout=WAIT_MS)
        expect(page.locator(".stMain")).to_contain_text(f"{what} over time")
    page.get_by_role("button", name="All packs").click()
    expect(page.get_by_role("heading", name="4 packs, 1 doubted")).to_be_visible(timeout=WAIT_MS)
    expect(rows(page).first).to_have_attribute("data-pack", DOUBTED)


def test_on_a_phone_and_from_space_balls(app: AppProcess, lend: Callable[..., Page]) -> None:
    page = visit(app, lend, PHONE, f"space_balls?path={MODULE}")
    page.get_by_role("button", name="Digital twin", exact=True).click(timeout=WAIT_MS)
    _closely(page)
    page.goto(f"{app.url}/digital_twin")
    expect(rows(page)).to_have_count(4, timeout=WAIT_MS)
    assert page.evaluate(WIDE)
