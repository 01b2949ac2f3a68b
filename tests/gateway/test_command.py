"""`python -m services.gateway` as a person starts and ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from scripts.app_process import ROOT, free_port
from services.gateway.__main__ import configured, listen, parser
from services.gateway.clients import PATIENCE_S
from services.gateway.summary import start_lines
from tests.gateway.site import WAIT_S, branch, site, told, view_at

SMALL = """
[[sources]]
kind = "fleet"
name = "fleet"
options = {systems = 2, past_hours = 0.0}
[gateway]
update_interval_s = 0.2
"""
Ended = Callable[..., tuple[int, str]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "services.gateway", *arguments]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ORRERY_")}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "orrery.toml"
    file.write_text(SMALL)
    return file


# Loads the gateway once; a copy of this process then begins for each list of words.
EACH = """
import json, os, sys
from services.gateway.__main__ import main
for line in sys.stdin:
    hears, says = os.pipe()
    if os.fork() == 0:
        os.dup2(says, 2)
        sys.argv[1:] = json.loads(line)
        sys.exit(main())
    os.close(says)
    said = open(hears).read()
    print(json.dumps([os.waitstatus_to_exitcode(os.wait()[1]), said]), flush=True)
"""


@pytest.fixture(scope="module")
def ended() -> Iterator[Ended]:
    """Status and last words of a gateway that ends by itself, by its words."""
    with subprocess.Popen([sys.executable, "-c", EACH], cwd=ROOT, env=environment(), text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def run(*arguments: str) -> tuple[int, str]:
            stdin.write(json.dumps(arguments) + "\n")
            stdin.flush()
            status, said = json.loads(stdout.readline())
            return status, said

        yield run
        stdin.close()
        assert process.wait(30) == 0


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command once it listens, and what it said until then."""
    with subprocess.Popen(command(*arguments), cwd=ROOT, env=environment(), text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line.rstrip())
                if line.startswith("WebSocket at"):
                    break
            yield process, said
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_ends_cleanly(config: Path, number: signal.Signals) -> None:
    port = str(free_port())
    with running("--config", str(config), "--port", port) as (process, said):
        assert said[0] == f"Starting Power Visualization WebSocket Server on port {port}..."
        assert said[1:3] == ["Hierarchy initialized:", "  - 2 systems"]
        assert said[3].startswith("  - Each system has ")
        with connect(f"ws://127.0.0.1:{port}/", proxy=None, open_timeout=WAIT_S) as client:
            assert len(told(client)["view"]["items"]) == 2
            first = view_at(client, ["system_0"])
            assert told(client)["view_path"] == first["view_path"]
            process.send_signal(number)
            rest = process.communicate(timeout=WAIT_S)[1]
        assert process.returncode == 0
        assert rest == "The gateway has ended\n"


@pytest.mark.parametrize(("text", "words"), [
    (SMALL + 'colour = "red"', ["gateway.colour = 'red'", "no such key"]),
    (SMALL.replace("fleet", "fleat"), ["sources[0].kind = 'fleat'", "one of fleet"]),
    ("[", ["file", "valid TOML"]),
])
def test_a_broken_configuration_is_told_in_one_line(
        ended: Ended, config: Path, text: str, words: Sequence[str]) -> None:
    config.write_text(text)
    status, said = ended("--config", str(config), "--port", str(free_port()))
    assert status == 2
    assert said.count("\n") == 1
    assert said.startswith("The gateway cannot start: ")
    assert all(word in said for word in [str(config), "allowed", *words])


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = subprocess.run(command("--config", str(tmp_path / "none.toml")), cwd=ROOT,
                          env=environment(), text=True, capture_output=True, timeout=30,
                          check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "none.toml" in done.stderr


def test_a_taken_port_is_named_with_the_way_out(ended: Ended, config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = ended("--config", str(config), "--port", str(port))
    assert status == 2
    assert said.count("\n") == 1
    assert f"port {port} on 127.0.0.1 is taken" in said
    assert "--port" in said
    assert "[gateway]" in said


def test_an_address_that_is_not_ours_is_told(ended: Ended, config: Path) -> None:
    status, said = ended("--config", str(config), "--host", "192.0.2.1")
    assert status == 2
    assert said.count("\n") == 1
    assert "nothing can listen on 192.0.2.1, port 9999" in said


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_an_impossible_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parser().parse_args([f"--port={port}"])
    assert left.value.code == 2
    assert "65535" in capsys.readouterr().err


def test_the_command_line_goes_before_the_file(config: Path) -> None:
    plain = configured(parser().parse_args(["--config", str(config)]))
    assert (plain.gateway.host, plain.gateway.port) == ("127.0.0.1", 9999)
    assert plain.gateway.update_interval_s == 0.2
    assert plain.history.kind == "none"
    assert (plain.twin.enabled, plain.coordinator.enabled) == (False, True)
    config.write_text(config.read_text() + "[coordinator]\nhere = false\n")
    elsewhere = configured(parser().parse_args(["--config", str(config)]))
    assert not elsewhere.coordinator.enabled, "another process drives, and no address shows it"
    asked = ["--config", str(config), "--host", "0.0.0.0", "--port", "80", "--history"]
    other = configured(parser().parse_args(asked))
    assert (other.gateway.host, other.gateway.port) == ("0.0.0.0", 80)
    assert other.history.kind == "embedded"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has TCP_USER_TIMEOUT")
def test_the_kernel_ends_what_a_dropped_client_never_reads() -> None:
    with listen("127.0.0.1", free_port()) as listener:
        limit_ms = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert limit_ms == 2000 * PATIENCE_S


def test_streamlit_is_not_loaded() -> None:
    code = ("import sys, services.gateway.__main__\n"
            "from core.clock import SystemClock\n"
            "from services.gateway.fleet_roles import Roles\n"
            "from services.gateway.looking import Looking\n"
            "from services.gateway.viewer import viewer_routes\n"
            "viewer_routes('/', '/', Looking(Roles(None, {}), SystemClock()))\n"
            "heavy = {'streamlit', 'pyarrow', 'pandas', 'orrery_spheres', 'components', 'duckdb'}\n"
            "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True,
                          timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_start_lines_are_the_documents() -> None:
    lines = start_lines(Topology(DEFAULT_LEVELS, site()), 9999)
    assert lines == [
        "Starting Power Visualization WebSocket Server on port 9999...", "Hierarchy initialized:",
        "  - 2 systems", "  - Each system has 2 clusters", "  - Each cluster has 1 rack",
        "  - Each rack has 1 module", "  - Each module has 4 cells"]


def test_the_start_lines_say_what_is_uneven() -> None:
    pack = NodeSpec("system_9", "Pack", "system", children=[
        NodeSpec(f"system_9_cell_{number}", f"Cell {number}", "cell") for number in range(16)])
    lines = start_lines(Topology(DEFAULT_LEVELS, [branch(0), branch(1, cells=6), pack]), 1)
    assert "  - 3 systems" in lines
    assert "  - 2 of 3 systems have 2 clusters" in lines
    assert "  - 1 of 3 systems has 16 cells" in lines
    assert "  - Each module has 4-6 cells" in lines


def test_answers_do_not_wait_for_the_clients_acknowledgement() -> None:
    with listen("127.0.0.1", free_port()) as listener, \
            socket.create_connection(listener.getsockname(), WAIT_S), \
            listener.accept()[0] as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
