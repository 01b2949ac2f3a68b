"""`[gateway.oidc]` and `[sign_in]` as deploy/ shows them in comments: images have what they need,
and the process that asks the provider has a way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

from core.config import Config, load_config
from services.gateway.fleet_roles import roles_of
from services.gateway.rest import api_key
from tests.deploy.fronts import DEPLOY
from tests.deploy.shapes import Compose, taken
from tests.deploy.test_files import KUBERNETES

NEEDED = Path("services/gateway/requirements-oidc.txt")
ASKING = {"app", "gateway"}


def in_comments(text: str) -> str:
    """The file of who takes away the signs before the example."""
    lines = r"\[gateway\.oidc\]|(?:issuer|audience|operator_claim|operator_value) .*"
    return re.sub(rf"(?m)^# ({lines})$", r"\1", text)


def gateway_files() -> dict[str, str]:
    inside = next(yaml.safe_load_all((DEPLOY / "kubernetes" / "configuration.yaml").read_text()))
    return {"compose": (DEPLOY / "config" / "gateway.toml").read_text(),
            "kubernetes": inside["data"]["gateway.toml"]}


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_the_gateway_starts_with_the_example(place: str, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(in_comments(gateway_files()[place]))
    monkeypatch.setenv("ORRERY_API_KEY", "long-enough-for-all")
    config: Config = load_config(file)
    assert config.gateway.oidc is not None
    assert config.gateway.oidc.operator_value == "orrery-operators"
    assert roles_of(config, api_key(config)).asks_viewers


def packages_of(stage: str) -> tuple[set[str], set[str]]:
    """Of an image: the lists that it installs, and those that are there when it does."""
    text = (DEPLOY / "Dockerfile").read_text()
    [packages] = re.findall(rf"(?ms)^FROM base AS {stage}$\nCOPY --from=(\S+) ", text)
    [body] = re.findall(rf"(?ms)^FROM python AS {packages}$(.*?)(?=^FROM )", text)
    copied = [line.split() for line in re.findall(r"(?m)^COPY (.*)$", body)]
    there = {word for *words, _ in copied for word in words}
    return set(re.findall(r"-r (\S+)", body)), there


@pytest.mark.parametrize("stage", ["app", "service"])
def test_the_images_that_answer_the_api_have_its_packages(stage: str) -> None:
    installed, there = packages_of(stage)
    assert str(NEEDED) in installed
    for one in installed:
        assert (DEPLOY.parent / one).is_file(), one
        assert one in there or one.split("/")[0] in there, f"{one} is not copied before"
    [line] = re.findall(r"(?m)^[^#\s].*$", (DEPLOY.parent / NEEDED).read_text())
    assert line.startswith("pyjwt[crypto]==")


def test_in_compose_the_line_for_it_lets_app_and_gateway_out() -> None:
    text = taken(DEPLOY / "compose.yaml", "provider")
    services = msgspec.convert(yaml.safe_load(text), Compose).services
    as_shipped = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ASKING:
        assert as_shipped[name]["networks"] == ["inside"]
        assert services[name].networks == ["inside", "outside"]
        assert not services[name].ports, "out, and nobody in"


def policies(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


def test_in_kubernetes_too() -> None:
    file = DEPLOY / "kubernetes" / "network-policy.yaml"
    shipped = policies(file.read_text())
    [added] = [one for one in policies(taken(file, "provider")) if one not in shipped]
    for version in KUBERNETES:
        kubernetes_validate.validate(added, version, strict=True)
    [chosen] = added["spec"]["podSelector"]["matchExpressions"]
    assert (chosen["key"], set(chosen["values"])) == ("app", ASKING)
    assert added["spec"]["policyTypes"] == ["Egress"]
    [rule] = added["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]


@pytest.mark.parametrize("file", ["README.md", "config/gateway.toml"])
def test_it_is_said_where_a_person_looks(file: str) -> None:
    text = (DEPLOY / file).read_text()
    assert "# provider, instead:" in text
    assert "# provider:" in text
    assert "[gateway.oidc]" in text
