"""Units that run: each has a certificate, files and variables of its own, and the README's steps
make all of them."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from bench._postgres import PostgresServer
from scripts.app_process import LOOPBACK, ROOT, answers, fetched, free_port
from scripts.broker import KEEP_RIGHTS
from scripts.test import find_mosquitto, find_nginx
from tests.deploy.fronts import DEPLOY, NGINX
from tests.deploy.machine import UNITS, Machine, section, steps
from tests.sources.mosquitto import until

USERS = {name: name for name in UNITS} | {"edge": "pack_001"}
"""Unit -> the broker's user."""
CONFIGURED = {"app": "app.toml", "gateway": "gateway.toml", "coordinator": "coordinator.toml"}
WHERE_THERE_IS_ONE = {"/etc/orrery/secrets.toml"}


def configuration(name: str) -> dict[str, str]:
    """Options of the fleet in a shipped file."""
    text = (DEPLOY / "config" / CONFIGURED[name]).read_text()
    options: dict[str, str] = tomllib.loads(text)["sources"][0]["options"]
    return options


def shown(name: str) -> tuple[str, str]:
    """A unit's certificate and key."""
    if name in CONFIGURED:
        return configuration(name)["cert_file"], configuration(name)["key_file"]
    return UNITS[name].own["CERT_FILE"], UNITS[name].own["KEY_FILE"]


def test_no_two_units_show_the_same_certificate() -> None:
    assert {name: shown(name) for name in UNITS} == {
        name: (f"/etc/orrery/mqtt/{user}.pem", f"/etc/orrery/mqtt/{user}.key")
        for name, user in USERS.items()}


def test_no_two_containers_do_and_each_is_mounted_where_it_is_read() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    found = {}
    for name, service in compose.items():
        mounts = dict(reversed(one.split(":")[:2]) for one in service.get("volumes", ())
                      if "/mqtt/" in one and "ca.pem" not in one)
        if not mounts:
            continue
        words = service.get("command", [])
        read = shown(name) if name in CONFIGURED else (
            words[words.index("--cert-file") + 1], words[words.index("--key-file") + 1])
        assert set(read) == set(mounts), name
        found[name] = mounts[read[0]]
    assert set(found) == set(UNITS)
    assert max(Counter(found.values()).values()) == 1, found


@pytest.mark.parametrize("name", ["app", "coordinator", "gateway", "ingest", "twin"])
def test_a_pod_s_certificate_is_mounted_where_it_is_read(name: str) -> None:
    folder = DEPLOY / "kubernetes"
    [pod] = [one for one in yaml.safe_load_all((folder / f"{name}.yaml").read_text())
             if one["kind"] == "StatefulSet"]
    [container] = pod["spec"]["template"]["spec"]["containers"]
    mounted = {one["mountPath"] for one in container["volumeMounts"] if "subPathExpr" in one}
    words = container.get("args", [])
    if name in CONFIGURED:
        data = next(yaml.safe_load_all((folder / "configuration.yaml").read_text()))["data"]
        options = tomllib.loads(data[CONFIGURED[name]])["sources"][0]["options"]
        read = {options["cert_file"], options["key_file"]}
    else:
        read = {words[words.index("--cert-file") + 1], words[words.index("--key-file") + 1]}
    assert mounted == read == set(shown(name))


def needed() -> set[str]:
    """Variables that a unit's command or its configuration names, and the unit does not set."""
    by_units = {one for unit in UNITS.values() for one in unit.asked - set(unit.own)}
    text = "".join(re.sub(r"(?m)^ *#.*$", "", (DEPLOY / "config" / name).read_text())
                   for name in CONFIGURED.values())
    by_files = set(re.findall(r'"(?:postgres:)?(ORRERY_[A-Z_]+)"', text))
    stored = set(re.findall(r"STORE=postgres:([A-Z_]+)", section()))
    return by_units | by_files | stored | {"STREAMLIT_SERVER_COOKIE_SECRET"}


def test_each_variable_that_a_unit_needs_is_named_where_it_is_said_how() -> None:
    assert {"ORRERY_API_KEY", "ORRERY_DATABASE_URL", "SITE", "BROKER", "STORE"} <= needed()
    typed = "".join(steps())
    assert {name for name in needed() if f"\n{name}=" not in typed} == set()


@pytest.fixture
def machine(tmp_path: Path, postgres: PostgresServer) -> Machine:
    broker, app, gateway = free_port(), free_port(), free_port()
    found = Machine(tmp_path, {
        "mosquitto:8883": f"localhost:{broker}", "listener 8883": f"listener {broker} {LOOPBACK}",
        "127.0.0.1:5432": f"{LOOPBACK}:{postgres.port}",
        "postgresql://orrery:": "postgresql://by_the_readme:",
        "8501": str(app), "9999": str(gateway)})
    found.follow()
    return found


def named_paths(machine: Machine) -> Iterator[str]:
    """Each file under /etc that a unit or a configuration of the machine names."""
    for unit in UNITS.values():
        yield from unit.paths - WHERE_THERE_IS_ONE
    for file in machine.path("/etc").rglob("*"):
        if file.suffix in {".toml", ".conf"} and "systemd" not in str(file):
            said = re.sub(r"(?m)#.*$", "", file.read_text())
            yield from re.findall(rf"{machine.folder}(/etc/[\w./-]*\.\w+)", said)


def test_each_file_that_is_named_is_made_by_a_step(machine: Machine) -> None:
    named = set(named_paths(machine))
    assert {"/etc/orrery/gateway.toml", "/etc/orrery/mqtt/twin.key",
            "/etc/orrery/edge-pack_001.env", "/etc/mosquitto/acl.conf",
            "/etc/mosquitto/certificates/broker.key", "/etc/nginx/certificates/orrery.key"} <= named
    assert {one for one in named if not machine.path(one).is_file()} == set()
    assert not WHERE_THERE_IS_ONE - set(re.findall(r"/etc/\S+\.toml", (
        DEPLOY / "README.md").read_text()))
    for file in machine.path("/etc/orrery").glob("*.env"):
        assert file.stat().st_mode & 0o777 == 0o600, file
    for file in machine.path("/etc/orrery/mqtt").iterdir():
        assert file.stat().st_mode & 0o777 == 0o640, file


def test_the_steps_begin_every_unit_and_name_the_broker(machine: Machine) -> None:
    [begun] = [line for line in machine.said() if line.startswith("systemctl enable --now")]
    assert set(begun.split()[3:]) == {f"orrery-{name}" for name in UNITS if name != "edge"} | {
        "orrery-edge@pack_001"}
    assert "127.0.0.1 mosquitto" in machine.path("/etc/hosts").read_text().splitlines()
    [script] = re.findall(r"certificates\.sh \S+ (\S+) .*", "".join(steps()))
    assert script == "mosquitto"
    assert {configuration(name)["broker"] for name in CONFIGURED} == {f"mqtts://{script}:8883"}


def test_nginx_takes_what_the_steps_make_of_its_file(machine: Machine) -> None:
    conf = machine.path("/etc/nginx/conf.d/orrery.conf")
    conf.write_text(re.sub(r"listen (80|443)\b", lambda _: f"listen {LOOPBACK}:{free_port()}",
                           conf.read_text()))
    main = machine.path("/etc/nginx/nginx.conf")
    main.write_text(NGINX.format(folder=conf.parent))
    program = find_nginx()
    assert program
    ran = subprocess.run([program, "-c", str(main), "-p", str(conf.parent), "-e", "stderr", "-t"],
                         capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == 0, ran.stderr
    assert not machine.path("/etc/nginx/sites-enabled/default").exists(), "it listens on 80 too"


def begun(machine: Machine, name: str, output: Path) -> subprocess.Popen[bytes]:
    """The process of a unit, as systemd would start it."""
    unit = UNITS[name]
    environment = {"PATH": os.environ["PATH"], **machine.variables(unit)}
    with output.open("wb") as log:
        return subprocess.Popen(machine.command(unit), cwd=ROOT, env=environment, stdout=log,
                                stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)


def address(machine: Machine, name: str) -> str:
    """Where a unit that has pages or an API answers."""
    command = machine.command(UNITS[name])
    [port] = [after for word, after in itertools.pairwise(command) if word.endswith("port")]
    return f"http://{LOOPBACK}:{port}"


def ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


def the_broker(machine: Machine) -> list[str]:
    """Its command, with the file of the steps."""
    file = machine.path("/etc/mosquitto/mosquitto.conf")
    file.write_text(f"{KEEP_RIGHTS}\n{file.read_text()}log_type all\n")
    program = find_mosquitto()
    assert program
    return [program, "-c", str(file)]


def test_by_the_steps_all_units_run_beside_each_other(machine: Machine,
                                                      postgres: PostgresServer) -> None:
    for told in machine.sql():
        command = re.sub("(ROLE|OWNER) orrery", r"\1 by_the_readme", told)
        postgres.execute(postgres.url(), command)
    app, gateway = address(machine, "app"), address(machine, "gateway")
    logs = {name: machine.folder / f"{name}.log" for name in (*UNITS, "broker")}

    def said(name: str) -> str:
        return logs[name].read_text(errors="replace")

    with ExitStack() as ends:
        with logs["broker"].open("wb") as log:
            broker = subprocess.Popen(the_broker(machine), stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=subprocess.STDOUT)
        ends.callback(ended, broker)
        running = {}
        for name in UNITS:
            running[name] = begun(machine, name, logs[name])
            ends.callback(ended, running[name])

        def holds(what: str) -> bool:
            for name, process in running.items():
                assert process.poll() is None, f"{name} ended: {said(name)}"
            return answers(f"{app}/metrics") and what in fetched(f"{app}/metrics")

        until(lambda: holds('orrery_fleet_packs{link="online",source="fleet"} 1.0'),
              "the app hears the pack", 120)
        until(lambda: holds('orrery_ingest_up{site="home",source="fleet"} 1.0'),
              "the app hears the ingest", 60)
        until(lambda: all(f" as {user} " in said("broker") for user in USERS.values()),
              "everybody is at the broker", 60)
        until(lambda: answers(f"{app}/readyz") and answers(f"{gateway}/readyz"),
              "app and gateway are ready", 60)
        until(machine.path("/run/orrery-coordinator/report.json").is_file, "the coordinator tells")
        assert holds('orrery_ingest_up{site="home",source="fleet"} 1.0'), "and all still run"
        come = Counter(re.findall(r"New client connected from \S+ as (\S+) ", said("broker")))
        assert come == dict.fromkeys(USERS.values(), 1), "nobody pushes anybody out"
