"""Several stores, as the files of deploy/ name them in comments: taken at their word, they hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

from core.config import Config, load_config
from core.registry import make_fleet_past, make_fleet_stores
from services.ingest.__main__ import parser
from tests.deploy.fronts import DEPLOY
from tests.deploy.shapes import Compose, taken
from tests.deploy.test_files import KUBERNETES

Objects = dict[tuple[str, str], dict[str, Any]]


def several(file: Path) -> str:
    return taken(file, "several")


@pytest.fixture(scope="module")
def compose() -> Compose:
    text = several(DEPLOY / "compose.yaml")
    return msgspec.convert(yaml.safe_load(text), Compose)


@pytest.fixture(scope="module")
def kubernetes() -> Objects:
    found = {}
    for name in ("app", "configuration", "ingest", "secret.example"):
        for one in yaml.safe_load_all(several(DEPLOY / "kubernetes" / f"{name}.yaml")):
            found[one["kind"], one["metadata"]["name"]] = one
    return found


def app_of(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "orrery.toml"
    file.write_text(text)
    return load_config(file)


def mounts(volumes: list[str]) -> dict[str, str]:
    """Of a service in compose: where each volume is."""
    return {volume.split(":")[0]: volume.split(":")[1] for volume in volumes}


def test_in_compose_the_app_reads_both_stores_that_the_ingest_writes(
        compose: Compose, tmp_path: Path) -> None:
    ingest, app = compose.services["ingest"], compose.services["app"]
    asked = parser().parse_args(ingest.command[3:])
    written, read = mounts(ingest.volumes)["ingest-data"], mounts(app.volumes)["ingest-data"]
    config = app_of(tmp_path, several(DEPLOY / "config" / "app.toml"))
    assert asked.store == ["postgres:ORRERY_FLEET_DATABASE", f"sqlite:{written}/fleet.sqlite"]
    assert str(asked.waiting).startswith(f"{written}/"), "what waits outlives the container"
    assert config.sources[0].options["store"] == ["postgres:ORRERY_DATABASE_URL",
                                                  f"sqlite:{read}/fleet.sqlite"]
    assert app.environment["ORRERY_DATABASE_URL"] == ingest.environment["ORRERY_FLEET_DATABASE"]
    assert "ingest-data" in compose.volumes
    made = re.findall(r"install --directory .* (/data.*)$", (DEPLOY / "Dockerfile").read_text(),
                      re.MULTILINE)
    assert {written, read} <= set(made[0].split()), "folders of the images' own user"


def test_in_kubernetes_too(kubernetes: Objects, tmp_path: Path) -> None:
    pods = {name: kubernetes["StatefulSet", name]["spec"] for name in ("app", "ingest")}
    containers = {name: pod["template"]["spec"]["containers"][0] for name, pod in pods.items()}
    asked = parser().parse_args(containers["ingest"]["args"])
    config = app_of(tmp_path, kubernetes["ConfigMap", "orrery"]["data"]["app.toml"])
    secrets = kubernetes["Secret", "orrery"]["stringData"]
    keys = {}
    for name, container in containers.items():
        keys[name] = {one["name"]: one["valueFrom"]["secretKeyRef"]["key"]
                      for one in container["env"] if "secretKeyRef" in one.get("valueFrom", {})}
    stores = {"ingest": asked.store, "app": config.sources[0].options["store"]}
    named = {name: [keys[name][one.removeprefix("postgres:")] for one in stores[name]]
             for name in stores}
    assert named == {name: ["fleet-database", "second-database"] for name in stores}
    assert set(named["app"]) <= set(secrets)
    claimed = {one["metadata"]["name"] for one in pods["ingest"]["volumeClaimTemplates"]}
    [data] = [one for one in containers["ingest"]["volumeMounts"] if one["name"] in claimed]
    assert str(asked.waiting).startswith(f"{data['mountPath']}/"), "what waits outlives the pod"
    for document in kubernetes.values():
        for version in KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_history_is_in_both_and_alarms_stay_where_they_are(
        kubernetes: Objects, tmp_path: Path, place: str) -> None:
    texts = {"compose": several(DEPLOY / "config" / "app.toml"),
             "kubernetes": kubernetes["ConfigMap", "orrery"]["data"]["app.toml"]}
    history = app_of(tmp_path, texts[place]).history
    assert (history.kinds, history.url_variable, history.alarms_url_variable) == (
        ("embedded", "postgres"), "ORRERY_DATABASE_URL", "")


def test_the_words_of_the_readme_for_a_unit_are_those_of_the_programs(tmp_path: Path) -> None:
    text = (DEPLOY / "README.md").read_text()
    [stores] = re.findall(r"(?m)^STORE=(\S+ \S+)$", text)
    [read] = re.findall(r"(?m)^store = \[(.*)\]$", text)
    first, second = stores.split()
    kinds = [one.partition(":")[0] for one in re.findall(r'"([^"]+)"', read)]
    assert (first.partition(":")[0], second.partition(":")[0]) == tuple(kinds)
    places = [f"sqlite:{tmp_path / name}/fleet.sqlite" for name in ("first", "second")]
    store = make_fleet_stores(places, tmp_path / "waiting")
    past = make_fleet_past(places, "orrery.toml", "fleet.store")
    assert (list(store.marks()), past.oldest_us("home")) == ([], None)
    past.close()
    store.close()
