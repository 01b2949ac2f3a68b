"""Sign-in and operators as deploy/ ships them: what is shown parses, secrets come from secrets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.requirements import Requirement

from core.config import load_config
from core.operators import check_operators, hashed
from core.ports import SourceInfo
from scripts.app_process import ROOT
from tests.deploy.fronts import DEPLOY
from tests.deploy.shapes import Compose
from tests.deploy.test_files import configurations, documents, kubernetes

REAL = [SourceInfo("fleet", "Fleet", "live", 1.0, 30.0, "discharge")]
COOKIE = "STREAMLIT_SERVER_COOKIE_SECRET"
APPS = ("app", "kubernetes-app")


@pytest.fixture(scope="module")
def app() -> dict[str, Any]:
    """Kubernetes' StatefulSet of the app."""
    return kubernetes()["StatefulSet", "app"]["spec"]


def container(app: Mapping[str, Any]) -> dict[str, Any]:
    [found] = app["template"]["spec"]["containers"]
    return dict(found)


def test_what_streamlits_sign_in_needs_is_installed_with_the_app() -> None:
    pinned = {found.name.lower(): found for line in (ROOT / "requirements.txt").read_text(
        ).splitlines() if re.match(r"[A-Za-z]", line) and (found := Requirement(line))}
    asked = [Requirement(one) for one in requires("streamlit") or ()]
    needed = [one for one in asked if one.marker is not None and not one.marker.evaluate()
              and one.marker.evaluate({"extra": "auth"})]
    assert {one.name for one in needed} == {"Authlib", "httpx"}
    for one in needed:
        [pin] = pinned[one.name.lower()].specifier
        assert pin.operator == "=="
        assert one.specifier.contains(pin.version)


# -- the cookie's secret

def test_compose_takes_the_cookies_secret_from_its_variables_alone() -> None:
    compose = msgspec.convert(documents(DEPLOY / "compose.yaml")[0], Compose)
    told = compose.services["app"].environment
    [variable] = re.findall(r"^\$\{([A-Z_]+):\?[^}]+\}$", told[COOKIE])
    assert f"\n{variable}=change-me\n" in (DEPLOY / ".env.example").read_text()
    folder, where, mode = next(volume.split(":") for volume in compose.services["app"].volumes
                               if volume.startswith("./sign-in:"))
    assert (told["STREAMLIT_SECRETS_FILES"], mode) == (f"{where}/secrets.toml", "ro")
    assert (DEPLOY / folder / "secrets.example.toml").exists()
    ignored = subprocess.run(["git", "check-ignore", "deploy/sign-in/secrets.toml"], cwd=ROOT,
                             capture_output=True, check=False)
    assert ignored.returncode == 0


def test_kubernetes_takes_the_cookies_secret_from_a_secret(app: dict[str, Any]) -> None:
    told = {one["name"]: one for one in container(app)["env"]}
    source = told[COOKIE]["valueFrom"]["secretKeyRef"]
    assert source["key"] in kubernetes()["Secret", source["name"]]["stringData"]
    file = Path(told["STREAMLIT_SECRETS_FILES"]["value"])
    [mount] = [one for one in container(app)["volumeMounts"]
               if one["mountPath"] == str(file.parent)]
    [volume] = [one for one in app["template"]["spec"]["volumes"] if one["name"] == mount["name"]]
    assert volume["secret"]["optional"], "without a provider the app starts too"
    assert file.name in kubernetes()["Secret", volume["secret"]["secretName"]]["stringData"]


def test_no_file_holds_the_cookies_secret() -> None:
    mounted = kubernetes()["ConfigMap", "orrery"]["data"]["streamlit.toml"]
    for text in ((DEPLOY / "config" / "streamlit.toml").read_text(), mounted):
        assert "cookieSecret" not in tomllib.loads(text)["server"]
    for file in (*DEPLOY.glob("sign-in/*"), DEPLOY / "kubernetes" / "secret.example.yaml"):
        for value in re.findall(r"cookie[-_]secret *[=:] *\"?([^\"\s]+)", file.read_text()):
            assert value == "change-me", file


def test_streamlit_reads_the_cookies_secret_from_that_variable() -> None:
    program = "from streamlit import config; print(config.get_option('server.cookieSecret'))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                         timeout=60, check=True, env={**os.environ, COOKIE: "of this test"})
    assert ran.stdout.strip() == "of this test"


def test_the_app_s_unit_reads_the_same_two() -> None:
    unit = (DEPLOY / "systemd" / "orrery-app.service").read_text()
    assert "\nEnvironment=STREAMLIT_SECRETS_FILES=/etc/orrery/secrets.toml\n" in unit
    assert "\nEnvironmentFile=-/etc/orrery/orrery.env\n" in unit
    assert COOKIE in unit


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_the_shown_provider_is_one_for_streamlit(place: str, tmp_path: Path) -> None:
    text = {"compose": (DEPLOY / "sign-in" / "secrets.example.toml").read_text(),
            "kubernetes": kubernetes()["Secret", "orrery-sign-in"]["stringData"]["secrets.toml"]}
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text(text[place])
    program = ("from streamlit import auth_util; auth_util.validate_auth_credentials('default');"
               "print(auth_util.get_validated_redirect_uri())")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                         timeout=60, check=False, cwd=tmp_path,
                         env={**os.environ, "HOME": str(tmp_path)})
    assert ran.stdout.strip() == "https://orrery.example/oauth2callback", ran.stderr


# -- operators

def shown(text: str) -> list[str]:
    """The configurations that stand in comments, from a `# [` to the end of the paragraph."""
    return [re.sub(r"(?m)^# ?", "", found)
            for found in re.findall(r"(?m)^# \[(?:.*\n)(?:^# .*\n?)*", text)]


@pytest.mark.parametrize("name", APPS)
def test_the_shown_operators_are_ones(name: str, tmp_path: Path) -> None:
    text = configurations(tmp_path)[name].read_text()
    keys, local, provider = shown(text)
    real = local.replace("scrypt$15$8$3$...", str(hashed("long enough")))
    assert real != local
    found = {}
    for what, more in {"keys": keys, "local": real, "oidc": provider}.items():
        file = tmp_path / f"{what}.toml"
        file.write_text(f"{text}\n{more}")
        found[what] = load_config(file)
        check_operators(found[what], REAL)
    assert found["keys"].gateway.operator_keys == {"Anna": "ORRERY_KEY_ANNA"}
    assert found["local"].operators.mode == "local"
    assert list(found["local"].operators.names) == ["ada"]
    assert (found["oidc"].operators.mode, found["oidc"].sign_in.mode) == ("oidc", "oidc")
    assert found["oidc"].operators.emails == ["ada@site.example"]


def test_the_shown_operators_of_the_gateway_are_ones(tmp_path: Path) -> None:
    text = (DEPLOY / "config" / "gateway.toml").read_text()
    file = tmp_path / "gateway.toml"
    file.write_text(text.replace("# Anna", "Anna") + "\n" + "\n".join(shown(text)))
    told = load_config(file).gateway
    assert told.operator_keys == {"Anna": "ORRERY_KEY_ANNA"}
    assert told.oidc is not None


@pytest.mark.parametrize("name", APPS)
def test_as_shipped_nobody_acts_and_the_read_me_says_what_to_fill_in(name: str,
                                                                     tmp_path: Path) -> None:
    config = load_config(configurations(tmp_path)[name])
    assert (config.operators.mode, config.sign_in.mode) == ("none", "none")
    assert config.gateway.operator_keys == {}
    told = (DEPLOY / "README.md").read_text().partition("## Who may act")[2].partition("\n## ")[0]
    for word in ("[operators]", "[sign_in]", "[gateway.operator_keys]", "secrets.toml",
                 "ORRERY_COOKIE_SECRET", "cookie-secret", COOKIE):
        assert word in told, word


# -- one journal

def test_there_is_one_app_and_so_one_journal_and_its_node_can_be_drained(
        app: dict[str, Any]) -> None:
    assert app["replicas"] == 1
    assert kubernetes()["PodDisruptionBudget", "app"]["spec"].get("maxUnavailable") == 1
    told = (DEPLOY / "README.md").read_text()
    for words in ("--history", "503", "alarm journal"):
        assert words in told, words
