"""What every test may use, and the rules that hold for all of them.

Network: loopback alone, in this process (`Loopback` below) and in servers that `app_server`
starts. Skips fail in CI: a missing server must not hide a missing test.
"""

from __future__ import annotations

import gc
import os
import random
import re
import socket
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from xdist.scheduler import LoadScopeScheduling

from scripts.app_process import LOOPBACK, AppProcess
from scripts.app_process import free_port as any_free_port
from scripts.chromium import FLAGS, find_chromium
from tests.loopback.sitecustomize import hold_to_loopback
from tests.told_past import RUN_FOLDER, copy_of_told_past
from tests.warm import FORKS, Warm, can_fork

if TYPE_CHECKING:
    from bench._postgres import PostgresServer

BROWSER = "browser"
FIRST_BROWSER = tuple(f"tests/browser/test_{name}.py" for name in (
    "accessibility", "alarms", "heat_pump", "playback", "space_map", "space_tools",
    "standalone_viewer", "viewer_component"))
"""Half of the time of all files with a browser."""
LONG = ("tests/architecture/test_soak.py", "tests/contracts/test_store_contract.py",
        "tests/architecture/test_bench_runs.py", "tests/architecture/test_style.py",
        "tests/contracts/test_channel_history_contract.py", "tests/fleet/test_fleet_past.py",
        "tests/twin_physics/test_physics.py")
"""What would else be left to one processor at the end."""
BRIEFLY = ("--js-flags=--no-opt",)
"""A page of a test does not live long enough to earn back what V8's last optimiser costs: a scene
that is opened twice and looked at for 6 s takes 7.8 s of a processor instead of 9.2."""
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
TESTS = Path(__file__).parent
GUARD = TESTS / "loopback"

# A deep link makes Streamlit's frontend look for its server one folder too deep first.
ALLOWED_404 = re.compile(r"^http://127\.0\.0\.1:\d+/[^?]+/_stcore/(health|host-config)$")

RUN = pytest.StashKey[tempfile.TemporaryDirectory[str]]()

hold_to_loopback()


def pytest_configure(config: pytest.Config) -> None:
    """One folder for all processes of a run, from the one that starts the others."""
    if not hasattr(config, "workerinput"):
        config.stash[RUN] = tempfile.TemporaryDirectory(prefix="orrery-tests-",
                                                        ignore_cleanup_errors=True)
        os.environ[RUN_FOLDER] = config.stash[RUN].name


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        config.stash[RUN].cleanup()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """What is imported now stays: to look for garbage among it took a third of the time."""
    gc.disable()
    try:
        import_share(session.config)
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def import_share(config: pytest.Config) -> None:
    """Where several processes collect all files, each begins with files of its own: what pytest
    makes of one for its assertions is kept beside it, and in one order all would make all of
    them. What cannot be imported is told when it is collected."""
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is None or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    first, step = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    ignored = {config.rootpath / folder for folder in config.getoption("ignore") or ()}
    files = sorted(one for one in TESTS.glob("*/test_*.py") if one.parent not in ignored)
    for file in files[first::step]:
        with suppress(Exception):
            import_module(f"{TESTS.name}.{file.parent.name}.{file.stem}")


def fail_instead_of_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI a skip is a failure that says what was skipped."""
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_instead_of_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_instead_of_skip(report)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a browser first, then the other long ones; a browser's say so by their name or
    folder."""
    for item in items:
        if BROWSER in getattr(item, "fixturenames", ()) and not _has_browser(item.nodeid):
            pytest.fail(f"{item.nodeid} needs a browser: its file must say so", pytrace=False)
    items.sort(key=lambda item: (not _has_browser(item.nodeid),
                                 not item.nodeid.startswith(LONG)))


class Groups(LoadScopeScheduling):
    """Files with a browser in two processes, for more browsers on two cores starve each other; the
    others file by file in whichever process is free."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return f"{BROWSER} {file in FIRST_BROWSER}" if _has_browser(nodeid) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    return Groups(config, log)


def _has_browser(nodeid: str) -> bool:
    return BROWSER in nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome that starts."""
    path = find_chromium()
    if path is None:
        pytest.fail("no Chromium on this machine: `make test` installs it or says how")
    return path


@contextmanager
def browser_of(chromium: str) -> Iterator[Browser]:
    """A headless one; Playwright's event loop ends with it."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, *BRIEFLY])
        yield started
        started.close()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One a file, so that no test without a browser meets its event loop; each test opens contexts
    of its own. Files in tests/browser share theirs."""
    with browser_of(chromium) as started:
        yield started


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that names a free TCP port on loopback."""
    return any_free_port


def quiet_port() -> int:
    """A free port that no connection is given of itself, for one app after the other: what the
    browser keeps of an address serves the next one too."""
    return next(port for port in random.SystemRandom().sample(range(20_000, 30_000), 1000)
                if is_free(port))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((LOOPBACK, port))
            return True
    return False


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm | None]:
    """What apps are forked from; None where that is not possible."""
    if not FORKS:
        yield None
        return
    began = Warm({"PYTHONPATH": str(GUARD)})
    yield began
    began.close()


@pytest.fixture(scope="session")
def app_server(warm: Warm | None) -> Iterator[Callable[..., AppProcess]]:
    """Start the app: `app_server(script="Home.py", history=..., config=..., environment=...)`.

    Comes back when it is healthy; has `url`, `port`, `pid`, `log()` and `stop()`. What a test
    does not stop ends with the session; a module that is done with its server should stop it.
    Begins warm (`tests/warm.py`) where its environment lets it.
    """
    started: list[AppProcess] = []
    usual = quiet_port()

    def start(script: str = "Home.py", *, history: Path | None = None,
              config: Path | None = None, environment: dict[str, str] | None = None) -> AppProcess:
        guarded = {"PYTHONPATH": str(GUARD), **(environment or {})}
        app = AppProcess(script, history=history, config=config, environment=guarded,
                         port=usual if is_free(usual) else None,
                         begun=warm.begin if warm is not None and can_fork(environment) else None)
        started.append(app)
        return app.start()

    yield start
    for app in started:
        app.stop()


@pytest.fixture(scope="session")
def told_past() -> Callable[[], Path]:
    """`told_past()`: a history of its own, as the demo left it some minutes after a first start."""
    return lambda: copy_of_told_past(Path(os.environ[RUN_FOLDER]))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of this process; each makes a schema of its own."""
    from bench._postgres import PostgresServer

    server = PostgresServer(sync=False)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def installed_once() -> Iterator[None]:
    """For each AppTest, Streamlit reads of all installed packages, two hundred, whether they bring
    components: 0.2 s of a processor. No test installs one."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests",
                      cache(manifest_scanner.scan_component_manifests))
        yield


def said(message: ConsoleMessage) -> str:
    """A console message with the address that it is about."""
    where = message.location.get("url", "")
    return f"{message.text} [{where}]"


def is_allowed(message: ConsoleMessage) -> bool:
    """The two 404s of a deep link, told by the address and not by the words."""
    return ("404" in message.text
            and ALLOWED_404.match(message.location.get("url", "")) is not None)


@pytest.fixture
def console() -> Iterator[Callable[[Page], list[str]]]:
    """`errors = console(page)`: console errors and uncaught exceptions of a page, as they come.

    When the test ends, any that is still in the list fails it; a test that provokes an error
    takes it out of the list itself.
    """
    watched: list[list[str]] = []

    def watch(page: Page) -> list[str]:
        errors: list[str] = []
        watched.append(errors)

        def on_console(message: ConsoleMessage) -> None:
            if message.type == "error" and not is_allowed(message):
                errors.append(said(message))

        page.on("console", on_console)
        page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
        return errors

    yield watch
    left = [error for errors in watched for error in errors]
    assert not left, "the browser's console has errors:\n" + "\n".join(left)
