"""What is shipped in deploy/ and .github: each file is read by the strictest reader there is."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml
from sqlalchemy import make_url

from core.config import Config, load_config
from core.errors import ConfigurationError
from core.fleet.catalogue import catalogue
from core.fleet.messages import IngestReport
from core.fleet.ports import IngestTold
from core.registry import SOURCES
from scripts.app_process import ROOT
from scripts.test import find_promtool
from services.coordinator.__main__ import parser as coordinator_words
from services.coordinator.service import FLEET_KIND, STILL_S
from services.edge.__main__ import parser as edge_words
from services.edge.__main__ import plates_of as plates_of_edge
from services.fleet_source import Options, plates_of
from services.gateway.__main__ import parser as gateway_words
from services.ingest.__main__ import devices_of
from services.ingest.__main__ import parser as ingest_words
from services.twin.__main__ import parser as twin_words
from sources.collector import parser as collector_words
from store.postgres.database import Database
from tests.deploy.fronts import DEPLOY, FRONTS
from tests.deploy.shapes import Compose, Dashboard, Service, Workflow
from tests.gateway.site import START
from tests.gateway.test_metrics import Kept, running

KUBERNETES = ("1.29", "1.33")
WORDS = {"services.coordinator": coordinator_words, "services.edge": edge_words,
         "services.gateway": gateway_words,
         "services.ingest": ingest_words, "services.twin": twin_words,
         "sources.collector": collector_words}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
METRIC = re.compile(r"\b(?:orrery|process)_[a-z_]+")


def documents(file: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(file.read_text()) if found]


def kubernetes() -> dict[tuple[str, str], dict[str, Any]]:
    """All objects by kind and name."""
    return {(found["kind"], found["metadata"]["name"]): found
            for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
            for found in documents(file)}


@pytest.fixture(scope="module")
def compose() -> Compose:
    return msgspec.convert(documents(DEPLOY / "compose.yaml")[0], Compose)


def test_compose_services_hang_together(compose: Compose) -> None:
    assert set(compose.services) == {
        "front", "app", "gateway", "ingest", "twin", "coordinator", "edge", "mosquitto", "postgres",
        "influxdb", "collector", "prometheus", "grafana"}
    used = set()
    for name, service in compose.services.items():
        assert set(service.depends_on) <= set(compose.services), name
        assert set(service.networks) <= set(compose.networks), name
        assert "no-new-privileges:true" in service.security_opt, name
        for volume in service.volumes:
            source = volume.split(":")[0]
            if not source.startswith((".", "/", "$")):
                used.add(source)
            elif source.startswith("./") and "certificates" not in source:
                assert (DEPLOY / source).exists(), volume
    assert used == set(compose.volumes)


def test_the_outside_sees_the_front_and_the_broker_alone(compose: Compose) -> None:
    public = {name for name, service in compose.services.items()
              if any(not port.startswith("127.0.0.1:") for port in service.ports)}
    assert public == {"front", "mosquitto"}
    outside = {name for name, service in compose.services.items() if "outside" in service.networks}
    assert outside == {"front", "mosquitto", "grafana"}
    assert compose.networks["inside"].internal


def test_no_secret_is_in_the_compose_file(compose: Compose) -> None:
    example = dict(line.split("=", 1) for line in (DEPLOY / ".env.example").read_text().splitlines()
                   if line and not line.startswith("#"))
    for name, service in compose.services.items():
        for variable, value in service.environment.items():
            if any(word in variable for word in ("PASSWORD", "KEY", "DATABASE", "TOKEN", "COOKIE")):
                [needed] = re.findall(r"\$\{([A-Z_]+):\?", value)
                assert needed in example, f"{name}: {variable}"
    ignored = subprocess.run(["git", "check-ignore", "deploy/.env", "deploy/certificates/x.key"],
                             cwd=ROOT, capture_output=True, text=True, check=False)
    assert len(ignored.stdout.splitlines()) == 2


def database_urls(compose: Compose, password: str) -> dict[str, str]:
    """Variable -> URL, as compose puts the password into it."""
    return {f"{name}: {variable}": re.sub(r"\$\{POSTGRES_PASSWORD:[^}]*\}", password, value)
            for name, service in compose.services.items()
            for variable, value in service.environment.items() if value.startswith("postgresql:")}


def test_a_password_as_the_example_asks_for_is_the_one_that_the_database_gets(
        compose: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (DEPLOY / ".env.example", DEPLOY / "kubernetes" / "secret.example.yaml"):
        assert "openssl rand -hex 32" in file.read_text()
    good = database_urls(compose, "0123456789abcdef" * 4)
    assert len(good) == 3
    for where, url in good.items():
        assert make_url(url).password == "0123456789abcdef" * 4, where
        monkeypatch.setenv("GIVEN", url)
        Database("GIVEN").dispose()
    for where, url in database_urls(compose, "Tr0ub4dor@site-2!").items():
        monkeypatch.setenv("GIVEN", url)
        with pytest.raises(ConfigurationError, match="%40 for @") as told:
            Database("GIVEN")
        assert "Tr0ub4dor" not in str(told.value), where
        assert "site-2" not in str(told.value), where


def commands(compose: Compose) -> Iterator[tuple[str, list[str]]]:
    """Where a module of ours is started, and its arguments."""
    for name, service in compose.services.items():
        if service.command[:2] == ["python", "-m"]:
            yield f"compose: {name}", service.command[2:]
    for (kind, name), found in kubernetes().items():
        if kind == "StatefulSet":
            [container] = found["spec"]["template"]["spec"]["containers"]
            if "command" in container:
                yield f"kubernetes: {name}", [*container["command"][2:], *container["args"]]
    for unit in UNITS:
        [line] = re.findall(r"(?m)^ExecStart=.*/python -m (.*)$", unit.read_text())
        yield unit.name, re.sub(r"\$\{[A-Z_]+\}|%i", "value", line).split()


def test_commands_are_those_of_the_programs(compose: Compose) -> None:
    """argparse would end the process with 2 for a word that it does not know."""
    checked = set()
    for where, (module, *arguments) in commands(compose):
        if module in WORDS:
            WORDS[module]().parse_args(arguments)
            checked.add(module)
        else:
            assert (module, arguments[:2]) == ("streamlit", ["run", "server.py"]), where
    assert checked == set(WORDS)


def test_every_ingest_stores_the_app_s_packs_and_no_stranger(compose: Compose,
                                                             tmp_path: Path) -> None:
    """Each user of the broker may write telemetry under its own name, also the app's own."""
    files, packs = configurations(tmp_path), frozenset(plate.device for plate in catalogue(24))
    place = "/etc/orrery/orrery.toml"
    assert f"./config/app.toml:{place}:ro" in compose.services["ingest"].volumes
    [container] = kubernetes()["StatefulSet", "ingest"]["spec"]["template"]["spec"]["containers"]
    assert ("app.toml", place) in {(one.get("subPath"), one["mountPath"])
                                   for one in container["volumeMounts"]}
    told = {where: ingest_words().parse_args(words) for where, (module, *words)
            in commands(compose) if module == "services.ingest"}
    assert {where: str(asked.packs_of) for where, asked in told.items()} == dict.fromkeys(
        ("compose: ingest", "kubernetes: ingest", "orrery-ingest.service"), place)
    for where, name in (("compose: ingest", "app"), ("kubernetes: ingest", "kubernetes-app")):
        told[where].packs_of = files[name]
        assert devices_of(told[where]) == packs
    told["compose: ingest"].site = "elsewhere"
    with pytest.raises(ConfigurationError, match="elsewhere"):
        devices_of(told["compose: ingest"])


@pytest.mark.parametrize("file", sorted((DEPLOY / "kubernetes").glob("*.yaml")),
                         ids=lambda file: file.stem)
def test_kubernetes_own_schemas_accept_it(file: Path) -> None:
    found = documents(file)
    assert found
    for document in found:
        for version in KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_key_would_be_seen() -> None:
    broken = kubernetes()["Service", "app"]
    broken["spec"]["sessionAfinity"] = broken["spec"].pop("sessionAffinity")
    with pytest.raises(kubernetes_validate.ValidationError, match="sessionAfinity"):
        kubernetes_validate.validate(broken, KUBERNETES[0], strict=True)


def test_kubernetes_objects_name_each_other() -> None:
    found = kubernetes()
    pods = {name: body["spec"]["template"] for (kind, name), body in found.items()
            if kind == "StatefulSet"}
    labels = {template["metadata"]["labels"]["app"] for template in pods.values()}
    for (kind, name), body in found.items():
        if kind == "Service" and name != "nowhere":
            assert body["spec"]["selector"]["app"] in labels, name
        if kind == "PodDisruptionBudget":
            assert body["spec"]["selector"]["matchLabels"]["app"] in labels, name
        if kind == "StatefulSet":
            assert ("Service", body["spec"]["serviceName"]) in found, name
        if kind == "Ingress":
            paths = [path for rule in body["spec"]["rules"] for path in rule["http"]["paths"]]
            assert all(("Service", path["backend"]["service"]["name"]) in found for path in paths)
    for name, template in pods.items():
        for volume in template["spec"].get("volumes", []):
            secret = volume.get("secret", {}).get("secretName")
            assert secret is None or ("Secret", secret) in found, name


def test_pods_have_probes_limits_and_few_rights() -> None:
    for (kind, name), body in kubernetes().items():
        if kind != "StatefulSet":
            continue
        pod = body["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert "livenessProbe" in container, name
            assert container["resources"]["limits"]["memory"]
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert not container["image"].endswith(":latest")


def configurations(tmp_path: Path) -> dict[str, Path]:
    """Every orrery.toml that is shipped."""
    found = {name: DEPLOY / "config" / f"{name}.toml" for name in ("app", "coordinator", "gateway")}
    for name in ("app", "coordinator", "gateway"):
        inside = found[f"kubernetes-{name}"] = tmp_path / f"{name}.toml"
        inside.write_text(kubernetes()["ConfigMap", "orrery"]["data"][f"{name}.toml"])
    return found


@pytest.mark.parametrize("name", ["app", "gateway", "kubernetes-app", "kubernetes-gateway"])
def test_configurations_are_ones(tmp_path: Path, name: str) -> None:
    config: Config = load_config(configurations(tmp_path)[name])
    assert {source.kind for source in config.sources} <= set(SOURCES)
    assert config.gateway.allowed_hosts
    assert config.gateway.api_key_secret == "ORRERY_API_KEY"


def databases(compose: Compose, place: str) -> dict[str, set[str]]:
    """Of the app and the coordinator, the variables that their processes are given."""
    if place == "kubernetes-":
        return {name: {one["name"] for one in kubernetes()["StatefulSet", name]["spec"]["template"]
                       ["spec"]["containers"][0]["env"]} for name in ("app", "coordinator")}
    return {name: set(compose.services[name].environment) for name in ("app", "coordinator")}


@pytest.mark.parametrize("place", ["", "kubernetes-"])
def test_the_coordinator_drives_the_app_s_packs_and_they_share_a_database(
        compose: Compose, tmp_path: Path, place: str) -> None:
    app, coordinator = (load_config(configurations(tmp_path)[place + name])
                        for name in ("app", "coordinator"))
    assert (app.coordinator.here, coordinator.coordinator.here) == (False, True)
    kind, _, variable = app.sources[0].options.pop("store").partition(":")
    assert kind == "postgres"
    assert variable in databases(compose, place)["app"], "where the ingest keeps the telemetry"
    shown = [[source.options.pop(key) for key in ("cert_file", "key_file")]
             for source in (*app.sources, *coordinator.sources)]
    assert shown[0] != shown[1], "the broker lets each user in once"
    assert app.sources == coordinator.sources
    assert [source.kind for source in coordinator.sources] == [FLEET_KIND]
    assert coordinator.coordinator.sites == {}, "packs rest until somebody asks"
    for name, given in databases(compose, place).items():
        told = load_config(configurations(tmp_path)[place + name]).coordinator.url_variable
        assert told in given, name


def test_the_demo_s_pack_is_one_of_the_app_s_and_comes_with_its_own_certificate(
        compose: Compose) -> None:
    """A device that the app does not know is refused, and so is one with other cells."""
    edge = compose.services["edge"]
    told = plates_of_edge(edge_words().parse_args(edge.command[3:]))
    options = load_config(DEPLOY / "config" / "app.toml").sources[0].options
    known = {plate.device: plate for plate in plates_of("fleet", msgspec.convert(options, Options))}
    for device, plate in told.items():
        assert (plate.chemistry, plate.cells, plate.capacity_kwh) == (
            known[device].chemistry, known[device].cells, known[device].capacity_kwh)
        assert any(f"/{device}.pem:" in volume for volume in edge.volumes)
        for file in ("README.md", "compose.yaml"):
            [script] = re.findall(r"certificates.sh (deploy/certificates .*)",
                                  (DEPLOY / file).read_text())
            assert device in script.split(), file


def test_there_is_one_coordinator_and_it_yields(compose: Compose) -> None:
    found = kubernetes()["StatefulSet", "coordinator"]["spec"]
    assert found["replicas"] == 1
    assert compose.services["coordinator"].cpu_shares < compose.services["app"].cpu_shares
    unit = (DEPLOY / "systemd" / "orrery-coordinator.service").read_text()
    assert re.search(r"(?m)^Nice=[1-9]", unit)


def health_checks(compose: Compose) -> dict[str, list[str]]:
    """What is asked of the coordinator, in each place that asks."""
    pod = kubernetes()["StatefulSet", "coordinator"]["spec"]["template"]["spec"]
    [line] = re.findall(r"(?ms)^FROM base AS coordinator$.*?CMD (\[\"python\", \"-c.*?\])$",
                        (DEPLOY / "Dockerfile").read_text())
    health = compose.services["coordinator"].healthcheck
    assert health is not msgspec.UNSET
    return {"kubernetes": pod["containers"][0]["livenessProbe"]["exec"]["command"],
            "compose": health.test[1:], "image": json.loads(line)}


@pytest.mark.parametrize("place", ["kubernetes", "compose", "image"])
def test_a_report_that_is_no_longer_written_is_a_coordinator_that_is_ill(
        compose: Compose, place: str, tmp_path: Path) -> None:
    asked = health_checks(compose)[place]
    report = tmp_path / "report.json"
    script = asked[-1].replace("/tmp/report.json", str(report))
    answers = []
    for age_s in (None, 0.0, 100.0, 130.0):
        if age_s is not None:
            report.touch()
            os.utime(report, (time.time() - age_s,) * 2)
        ran = subprocess.run([sys.executable, *asked[1:-1], script], capture_output=True,
                             check=False, timeout=30)
        answers.append(ran.returncode)
    assert answers == [1, 0, 0, 1]
    assert asked[-1].endswith(f"> {STILL_S:.0f})"), "it then ends by itself too"


def test_a_coordinator_that_ends_itself_is_started_anew(compose: Compose) -> None:
    """Kubernetes always does: its pods' restartPolicy is not changed."""
    assert compose.services["coordinator"].restart == "unless-stopped"
    unit = (DEPLOY / "systemd" / "orrery-coordinator.service").read_text()
    assert "\nRestart=on-failure\n" in unit
    pod = kubernetes()["StatefulSet", "coordinator"]["spec"]["template"]["spec"]
    assert pod.get("restartPolicy", "Always") == "Always"


def test_streamlits_settings_are_known_to_streamlit() -> None:
    from streamlit import config

    mounted = kubernetes()["ConfigMap", "orrery"]["data"]["streamlit.toml"]
    for text in ((DEPLOY / "config" / "streamlit.toml").read_text(), mounted):
        for section, told in tomllib.loads(text).items():
            for key, value in told.items():
                known = config.get_option(f"{section}.{key}")  # raises where it is unknown
                assert known is None or isinstance(value, type(known)), key


@pytest.mark.parametrize("name", sorted(FRONTS))
def test_proxies_take_their_files(tmp_path: Path, name: str) -> None:
    checked = FRONTS[name](tmp_path, 8501, 9999).checked()
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr.lower(), checked.stderr


def promtool(*arguments: str | Path) -> None:
    program = find_promtool()
    assert program, "no promtool: `make test` installs it or says how"
    ran = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True,
                         timeout=30, check=False, cwd=DEPLOY / "prometheus")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_takes_its_configuration_and_its_alerts_fire() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "orrery.rules.test.yml")


def asked_metrics() -> dict[str, set[str]]:
    """Names in the alerts and on the dashboard, without what histograms add."""
    rules = (DEPLOY / "prometheus" / "orrery.rules.yml").read_text()
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "orrery.json").read_text())
    panels = msgspec.convert(board, Dashboard).panels
    asked = " ".join(target.expr for panel in panels for target in panel.targets)
    return {"alerts": set(METRIC.findall(rules)), "dashboard": set(METRIC.findall(asked))}


def test_alerts_and_dashboard_ask_for_metrics_that_there_are(tmp_path: Path) -> None:
    from store.embedded import EmbeddedStore

    with running() as site:
        site.engine.attach(EmbeddedStore(tmp_path, site.engine.topology, budget_bytes=2 ** 24))
        site.engine.keep_alarms(Kept())  # type: ignore[arg-type]
        site.tick()
        site.fleet.ingest = IngestTold(IngestReport(v=1, site="home", state="running"), START, 1.0)
        there = site.scrape().names() | {"orrery_sessions"}
    for where, names in asked_metrics().items():
        assert names, where
        assert names <= there, where


def test_panels_do_not_cover_each_other() -> None:
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "orrery.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in msgspec.convert(board, Dashboard).panels:
        at = panel.gridPos
        cells = {(x, y) for x in range(at.x, at.x + at.w) for y in range(at.y, at.y + at.h)}
        assert max(x for x, _ in cells) < 24, panel.title
        assert not cells & taken, panel.title
        taken |= cells


def test_grafana_finds_its_source_and_its_dashboards(compose: Compose) -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    [source] = documents(folder / "datasources" / "prometheus.yml")[0]["datasources"]
    [provider] = documents(folder / "dashboards" / "orrery.yml")[0]["providers"]
    board = (DEPLOY / "grafana" / "dashboards" / "orrery.json").read_text()
    assert set(re.findall(r'"type": "prometheus",\s*"uid": "([^"]+)"', board)) == {source["uid"]}
    mounted = [volume.split(":") for volume in compose.services["grafana"].volumes]
    assert ["./grafana/dashboards", provider["options"]["path"], "ro"] in mounted


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_hardened_and_complete(unit: Path) -> None:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(unit)
    assert set(read.sections()) == {"Unit", "Service", "Install"}
    service = dict(read["Service"])
    for key, value in {"NoNewPrivileges": "true", "ProtectSystem": "strict", "User": "orrery",
                       "ProtectHome": "true", "CapabilityBoundingSet": "", "PrivateTmp": "true",
                       "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
                       "SystemCallErrorNumber": "EPERM"}.items():
        assert service[key] == value, key


def test_systemd_itself_finds_nothing_in_the_units(tmp_path: Path) -> None:
    """Where there is a systemd; elsewhere the test above is all."""
    program = shutil.which("systemd-analyze")
    places = tmp_path / "etc" / "systemd" / "system"
    places.mkdir(parents=True)
    python = tmp_path / "opt" / "orrery" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    copied = [shutil.copy(unit, places) for unit in UNITS]
    if program is not None:
        ran = subprocess.run([program, "verify", f"--root={tmp_path}", "--man=no",
                              "--recursive-errors=no", *map(str, copied)], capture_output=True,
                             text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
    assert len(copied) == 6


def test_the_workflow_runs_what_a_person_runs() -> None:
    file = ROOT / ".github" / "workflows" / "ci.yml"
    told = yaml.load(file.read_text(), Loader=yaml.BaseLoader)  # `on` stays a word
    found = msgspec.convert(told, Workflow, strict=False)
    assert found.permissions == {"contents": "read"}
    assert "bash .ci/run" in [step.run for step in found.jobs["test"].steps]
    for name, job in found.jobs.items():
        for step in job.steps:
            assert (step.uses is msgspec.UNSET) != (step.run is msgspec.UNSET), name
    targets = {row["target"] for row in found.jobs["images"].strategy.matrix["include"]}
    stages = re.findall(r"(?m)^FROM \S+ AS (\S+)$", (DEPLOY / "Dockerfile").read_text())
    assert targets <= set(stages)


def test_images_run_without_root_and_hold_what_they_copy() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for stage in ("service", "app", "twin", "coordinator"):
        [body] = re.findall(rf"(?ms)^FROM base AS {stage}$(.*?)(?=^FROM |\Z)", text)
        assert "USER 10001:10001" in body
        assert "HEALTHCHECK" in body
        for line in re.findall(r"(?m)^COPY (?!--from)(.*)$", body):
            for source in line.split()[:-1]:
                assert (ROOT / source).exists(), source
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text()
    for line in re.findall(r"(?m)^COPY (?!--from)(.*)$", text):
        for source in line.split()[:-1]:
            assert f"!{source.split('/')[0]}" in kept, source


def test_a_service_with_a_misspelt_key_would_be_seen() -> None:
    with pytest.raises(msgspec.ValidationError, match="volumnes"):
        msgspec.convert({"image": "a", "restart": "unless-stopped", "volumnes": []}, Service)
