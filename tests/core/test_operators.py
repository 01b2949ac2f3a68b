"""Who may command: hashed passwords, failures that make a name wait, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.config import Config, OperatorsConfig, SignInConfig, SourceConfig, load_config
from core.errors import ConfigurationError, RequestError
from core.failed_sign_ins import MOST_FAILURES
from core.operators import (
    Operators,
    TooManyFailuresError,
    check_operators,
    checked_name,
    hashed,
    read_hash,
)
from core.ports import SourceInfo
from core.settings import NewSource, save

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"
GUESSER, DESK = "203.0.113.9", "192.0.2.5"
"""Addresses."""
ROOT = Path(__file__).resolve().parents[2]


def least_hash(password: str) -> str:
    """The cheapest that is read, by the standard library alone: a sixth of the work of a new
    one."""
    salt = bytes(range(16))
    digest = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
    return "$".join(["scrypt", "14", "8", "1",
                     *(base64.b64encode(part).decode() for part in (salt, digest))])


@pytest.fixture(scope="module")
def kept() -> str:
    return least_hash(PASSWORD)


def config(sign_in: str = "none", **options: Any) -> Config:
    return Config(sources=[SourceConfig("fleet", "fleet")], file="orrery.toml",
                  operators=OperatorsConfig(**options),
                  sign_in=SignInConfig(sign_in))  # type: ignore[arg-type]


def info(kind: str) -> SourceInfo:
    return SourceInfo(f"a-{kind}", kind, kind, 1.0, 5.0, "discharge")


@pytest.fixture
def door(kept: str) -> Operators:
    return Operators(config(mode="local", names={"Anna": kept}))


def test_the_right_password_and_no_other(door: Operators) -> None:
    assert door.asks_password
    assert door.sign_in(" Anna ", PASSWORD, NOW) == "Anna"
    for name, password in (("Anna", PASSWORD + " "), ("Anna", ""), ("anna", PASSWORD),
                           ("Bob", PASSWORD), ("Anna", "x" * 100_000)):
        with pytest.raises(RequestError, match="wrong"):
            door.sign_in(name, password, NOW)


def guess(door: Operators, name: str = "Anna", address: str | None = GUESSER,
          at_s: float = 0.0) -> str:
    """What somebody is told who does not know the password."""
    with pytest.raises(RequestError) as refused:
        door.sign_in(name, "guess", NOW + timedelta(seconds=at_s), address)
    return str(refused.value)


def test_failures_make_a_name_wait_at_that_address_alone(door: Operators) -> None:
    told = [guess(door).removeprefix("Name or password is wrong. ") for _ in range(5)]
    assert told == ["4 attempts left before a wait.", "3 attempts left before a wait.",
                    "2 attempts left before a wait.", "1 attempt left before a wait.",
                    "Wait 60 s, then try again."]
    with pytest.raises(TooManyFailuresError, match="Wait 59 s"):
        door.sign_in("Anna", PASSWORD, NOW + timedelta(seconds=1.5), GUESSER)
    assert "4 attempts left" in guess(door, "Bob")
    assert door.sign_in("Anna", PASSWORD, NOW, DESK) == "Anna"
    assert door.sign_in("Anna", PASSWORD, NOW) == "Anna", "at this machine itself"
    assert door.sign_in("Anna", PASSWORD, NOW + timedelta(seconds=60), GUESSER) == "Anna"


def test_a_clock_that_is_set_back_makes_nobody_wait_longer(door: Operators) -> None:
    for _ in range(MOST_FAILURES):
        guess(door)
    assert "Wait 60 s" in guess(door, at_s=-3600.0)
    assert door.sign_in("Anna", PASSWORD, NOW - timedelta(seconds=3540), GUESSER) == "Anna"


def test_a_success_forgets_the_failures_before_it(door: Operators) -> None:
    for _ in range(MOST_FAILURES - 1):
        guess(door)
    door.sign_in("Anna", PASSWORD, NOW, GUESSER)
    assert "4 attempts left" in guess(door)


def test_many_threads_get_five_guesses_together(door: Operators) -> None:
    def tried(number: int) -> str:
        try:
            return door.sign_in("Anna", f"guess {number}", NOW)
        except TooManyFailuresError:
            return "waits"
        except RequestError:
            return "wrong"

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(tried, range(12)))
    assert sorted(told) == ["waits"] * 7 + ["wrong"] * 5


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 81, "\x00"])
def test_a_name_is_printable(name: str) -> None:
    with pytest.raises(RequestError, match="printable"):
        checked_name(name)
    with pytest.raises(RequestError, match="printable"):
        Operators(config(mode="local", demo=True)).sign_in(name, "", NOW)


@pytest.mark.parametrize("name", [
    "design", " Design ", "by itself", "(viewer)", "\uff08viewer\uff09", "orrery, connections",
    "a person", "a name that is not known"])
def test_nobody_is_called_as_the_house_or_nobody(name: str) -> None:
    with pytest.raises(RequestError, match="stands for no person"):
        checked_name(name)
    with pytest.raises(RequestError, match="stands for no person"):
        Operators(config(mode="local", demo=True)).sign_in(name, "", NOW)


def test_the_demo_takes_any_name_where_nothing_is_real() -> None:
    demo = config(mode="local", demo=True)
    check_operators(demo, [info("simulated"), info("recorded")])
    door = Operators(demo)
    assert not door.asks_password
    assert door.sign_in("<b>Anyone</b>", "", NOW) == "<b>Anyone</b>"
    for kind in ("live", "", "anything new"):
        with pytest.raises(ConfigurationError, match="without a password"):
            check_operators(demo, [info("simulated"), info(kind)])


@pytest.mark.parametrize(("options", "key"), [
    ({"demo": True}, "operators.mode"),
    ({"names": {"Anna": "x"}}, "operators.mode"),
    ({"mode": "local", "emails": ["a@b.example"]}, "operators.mode"),
    ({"mode": "oidc", "emails": ["a@b.example"]}, "operators.mode"),
    ({"mode": "oidc", "sign_in": "oidc"}, "operators.emails"),
    ({"mode": "oidc", "sign_in": "oidc", "demo": True}, "operators.mode"),
    ({"mode": "local"}, "operators.names"),
    ({"mode": "local", "demo": True, "names": {"Anna": "x"}}, "operators.names"),
    ({"mode": "local", "names": {" Anna": "x"}}, "operators.names"),
    ({"mode": "local", "names": {"Anna": "x", "Design": "x"}}, "operators.names"),
    ({"mode": "local", "names": {"(viewer)": "x"}}, "operators.names"),
    ({"mode": "oidc", "sign_in": "oidc", "emails": ["a@b.example", "design"]},
     "operators.emails"),
    ({"mode": "local", "names": {"Anna": "my password"}}, "operators.names.Anna"),
    ({"mode": "local", "names": {"Anna": "scrypt$1$8$3$AAAA$AAAA"}}, "operators.names.Anna"),
])
def test_what_does_not_go_together_is_refused_and_shows_no_hash(options: dict[str, Any],
                                                               key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_operators(config(**options), [])
    assert refused.value.key == key
    for secret in ("my password", "scrypt$1$"):
        assert secret not in str(refused.value)


def test_without_operators_nobody_signs_in() -> None:
    check_operators(config(), [info("live")])
    with pytest.raises(RequestError, match="Nobody"):
        Operators(config()).sign_in("Anna", PASSWORD, NOW)


def test_a_new_hash_is_no_cheap_one_and_fits_its_password_alone() -> None:
    told = str(hashed(PASSWORD))
    assert told.startswith("scrypt$15$8$3$")
    assert read_hash(told).fits(PASSWORD)
    assert not read_hash(told).fits(PASSWORD.upper())
    assert str(hashed(PASSWORD)) != told


def test_a_cheap_hash_is_not_read(kept: str) -> None:
    assert read_hash(kept).fits(PASSWORD)
    assert not read_hash(kept).fits(PASSWORD.upper())
    _, log2_n, _, _, salt, digest = kept.split("$")
    for bad in (f"scrypt$10$8$3${salt}${digest}", f"scrypt${log2_n}$8$3$${digest}",
                f"scrypt${log2_n}$8$3${salt}$AAAA", f"scrypt$30$8$3${salt}${digest}",
                f"md5${log2_n}$8$3${salt}${digest}", "", "$", f"{kept}$"):
        with pytest.raises(RequestError, match="prints it"):
            read_hash(bad)


VERIFIED = {"email_verified": True}


@pytest.mark.parametrize(("claims", "words"), [
    ({}, "does not vouch"),
    ({"email": 3}, "does not vouch"),
    ({"email": "", **VERIFIED}, "does not vouch"),
    *(({"email": "anna@site.example", "email_verified": told, "iat": NOW.timestamp()},
       "does not vouch") for told in (False, None, "true", "false", 1)),
    ({"email": "anna@site.example", "iat": NOW.timestamp()}, "does not vouch"),
    ({"email": "eve@site.example", **VERIFIED}, "not among"),
    ({"email": "anna@site.example", **VERIFIED}, "does not say when"),
    ({"email": "anna@site.example", **VERIFIED, "iat": True}, "does not say when"),
    ({"email": "anna@site.example", **VERIFIED, "iat": float("nan")}, "12 h"),
    ({"email": "anna@site.example", **VERIFIED, "iat": NOW.timestamp() - 12 * 3600}, "12 h"),
    ({"email": "anna@site.example", **VERIFIED, "iat": NOW.timestamp() + 301}, "yet to come"),
    ({"email": "anna@site.example", **VERIFIED, "iat": float("inf")}, "yet to come"),
])
def test_a_provider_must_vouch_for_a_listed_address(claims: dict[str, object],
                                                    words: str) -> None:
    options = config("oidc", mode="oidc", emails=["Anna@site.example"])
    check_operators(options, [info("live")])
    with pytest.raises(RequestError, match=words):
        Operators(options).by_claims(claims, NOW)


def test_a_listed_address_is_an_operator_for_12_hours() -> None:
    door = Operators(config("oidc", mode="oidc", emails=["Anna@site.example"]))
    claims = {"email": "anna@SITE.example", **VERIFIED, "iat": int(NOW.timestamp())}
    for since in (timedelta(hours=11, minutes=59), timedelta(0), timedelta(minutes=-5)):
        assert door.by_claims(claims, NOW + since) == "anna@SITE.example"


def test_a_real_source_that_a_form_adds_ends_the_demo(tmp_path: Path) -> None:
    file = tmp_path / "orrery.toml"
    file.write_text('[[sources]]\nkind = "fleet"\nname = "fleet"\n\n[operators]\nmode = "local"\n'
                    'demo = true\n\n[history]\nkind = "none"\n', encoding="utf-8")
    real = NewSource("solark", "cabin", {"host": "127.0.0.1"})
    save(real, load_config(file))
    found = load_config(file)
    check_operators(found, [info("simulated"), info("live")])
    assert found.operators == OperatorsConfig()
    assert [source.name for source in found.sources] == ["fleet", "cabin"]
    assert found.history.kind == "none"


def test_the_printed_line_opens_the_door(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.operator_password", 'Anna "A" Öst'], cwd=ROOT,
        input=PASSWORD + "\n", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert PASSWORD not in ran.stdout + ran.stderr
    assert tomllib.loads(ran.stdout)["operators"]["names"]
    file = tmp_path / "orrery.toml"
    file.write_text('[[sources]]\nkind = "fleet"\nname = "fleet"\n[operators]\nmode = "local"\n'
                    + ran.stdout, encoding="utf-8")
    door = Operators(load_config(file))
    assert door.sign_in('Anna "A" Öst', PASSWORD, NOW) == 'Anna "A" Öst'


def test_a_short_password_gets_no_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.operator_password", "Anna"], cwd=ROOT, input="short\n",
        capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "10 to" in ran.stderr
    assert not ran.stdout
