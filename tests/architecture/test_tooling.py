"""The tools hold what they promise: loopback, no silent skips, set-up told by content."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.test_style import ROOT
from tests.loopback.sitecustomize import OutsideLoopbackError, is_loopback

# An address for documentation (RFC 5737): nobody is there, and nobody must be asked.
ELSEWHERE = ("192.0.2.1", 80)


def test_a_connection_out_of_this_machine_is_refused() -> None:
    with socket.socket() as outwards, pytest.raises(OutsideLoopbackError):
        outwards.connect(ELSEWHERE)


def test_loopback_is_open(free_port: Callable[[], int]) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        with socket.create_connection(server.getsockname()):
            pass
    assert is_loopback("::1")
    assert is_loopback(b"127.8.8.8")
    assert not is_loopback("example.org")


def test_servers_that_tests_start_are_held_too() -> None:
    program = f"import socket; socket.socket().connect({ELSEWHERE!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "loopback")}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, text=True,
                         capture_output=True, timeout=30, check=False)
    assert "OutsideLoopbackError" in ran.stderr


@pytest.mark.parametrize(("ci", "status", "said"), [("true", 1, "1 failed"),
                                                    ("", 0, "1 skipped")])
def test_a_skip_fails_in_ci(tmp_path: Path, ci: str, status: int, said: str) -> None:
    (tmp_path / "test_one.py").write_text(
        "import pytest\ndef test_fine(): pass\ndef test_skipped(): pytest.skip('no server')\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist.plugin", "-p", "tests.conftest",
               "-c", os.devnull, "-p", "no:cacheprovider", "--rootdir", str(tmp_path),
               str(tmp_path)]
    environment = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True,
                         timeout=60, check=False)
    assert (ran.returncode, said in ran.stdout) == (status, True), ran.stdout + ran.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What set-up reads, with a state that says that all of it is installed."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    viewer = tmp_path / "components" / "spheres" / "frontend"
    (viewer / "node_modules").mkdir(parents=True)
    (viewer / "index.ts").write_text("export {}\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    stale(tmp_path, "state = wanted(True); open(STATE, 'w').writelines("
                    "f'{name} {value}\\n' for name, value in state.items())")
    return tmp_path


def stale(checkout: Path, first: str = "") -> list[str]:
    """Steps that set-up would run in a checkout."""
    program = (f"from setup import *\n{first}\nhave = read_state()\n"
               "print([n for n, v in wanted(True).items() if have.get(n) != v])")
    ran = subprocess.run([sys.executable, "-c", program], cwd=checkout / "scripts", text=True,
                         capture_output=True, timeout=30, check=True)
    return [name for name in ("packages", "viewer", "dev") if f"'{name}'" in ran.stdout]


def test_set_up_does_nothing_when_nothing_changed(checkout: Path) -> None:
    touched = checkout / "components" / "spheres" / "frontend" / "index.ts"
    os.utime(touched, (0, 0))
    (touched.parent / "node_modules" / "new.js").write_text("")
    assert stale(checkout) == []


@pytest.mark.parametrize(("changed", "steps"), [
    ("components/spheres/frontend/index.ts", ["viewer"]),
    ("components/spheres/frontend/new.ts", ["viewer"]),
    ("requirements.txt", ["packages", "dev"]),
    ("requirements-dev.txt", ["dev"])])
def test_set_up_runs_what_changed_alone(checkout: Path, changed: str, steps: list[str]) -> None:
    with (checkout / changed).open("a") as file:
        file.write("# changed\n")
    assert stale(checkout) == steps


def test_set_up_runs_all_of_it_when_its_python_is_gone(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "python").unlink()
    assert stale(checkout) == ["packages", "viewer", "dev"]
