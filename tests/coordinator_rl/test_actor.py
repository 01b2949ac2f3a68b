"""The file of a policy: signed, small, quick; anything else is refused with a reason."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

from core.coordinator import actor as actors
from core.coordinator.actor import MOST_BYTES, Actor, load, read, shipped, signed, written
from core.coordinator.placed import deploy, roll_back
from core.coordinator.policy import FEATURES
from core.errors import GiveUpError
from services.coordinator.rl.export import decision_us, export
from tests.coordinator_rl.cases import KEY, SITE_LET, SITE_REFUSED, actor, record


def body_with(**changed: object) -> bytes:
    """The body of an actor with some of its arrays changed, None = left out."""
    with np.load(io.BytesIO(written(actor()))) as told:
        arrays = {name: told[name] for name in told.files} | changed
    into = io.BytesIO()
    np.savez(into, **{name: value for name, value in arrays.items() if value is not None})
    return into.getvalue()


def test_what_is_written_is_read_again() -> None:
    own = actor()
    again = read(signed(written(own), KEY), KEY)
    seen = np.random.default_rng(1).normal(0.0, 1.0, (50, FEATURES))
    np.testing.assert_array_equal(again.act(seen), own.act(seen))
    assert again.record == own.record
    np.testing.assert_allclose(again.typical.buy, own.typical.buy, rtol=1e-6)
    assert (np.abs(again.act(1e6 * seen)) <= 1.0).all()


def test_it_is_small_and_quick() -> None:
    assert len(signed(written(actor()), KEY)) <= MOST_BYTES
    assert 0.0 < decision_us(actor()) <= 100.0


def test_any_changed_byte_is_refused() -> None:
    data = signed(written(actor()), KEY)
    rng = np.random.default_rng(2)
    for at in (0, 5, 20, 40, len(data) - 1, *rng.integers(100, len(data), 40).tolist()):
        torn = bytearray(data)
        torn[at] ^= 1
        with pytest.raises(GiveUpError):
            read(bytes(torn), KEY)


@pytest.mark.parametrize(("data", "key", "why"), [
    (b"", KEY, "no signed actor"),
    (written(actor()), KEY, "no signed actor"),
    (signed(written(actor()), KEY), None, "not known here"),
    (signed(written(actor()), KEY), "another key, also long", "another key"),
    (shipped(written(actor())), KEY, "not the one that this version"),
    (signed(b"PK nothing", KEY), KEY, "cannot be read"),
    (b"x" * (MOST_BYTES + 1), KEY, "at most 100,000 bytes")],
    ids=["empty", "unsigned", "no key", "other key", "said to be shipped", "no body", "too large"])
def test_what_is_not_to_be_trusted_is_refused(data: bytes, key: str | None, why: str) -> None:
    with pytest.raises(GiveUpError, match=why):
        read(data, key)


def test_a_short_key_signs_nothing() -> None:
    with pytest.raises(GiveUpError, match="no secret"):
        signed(b"body", "short")


NAN = np.full((96, 1), np.nan, dtype=np.float32)


@pytest.mark.parametrize("changed", [
    {"w0": np.zeros((FEATURES + 1, 96), dtype=np.float32)},
    {"w2": np.zeros((96, 2), dtype=np.float32), "b2": np.zeros(2, dtype=np.float32)},
    {"w2": NAN}, {"w1": np.zeros((96, 96))}, {"b1": None}, {"net": np.zeros((12, 23))},
    {"more": np.zeros(1, dtype=np.float32)},
    {"w0": np.zeros((FEATURES, 96), dtype=object)},
    {"record": np.frombuffer(b'["Nowhere/Land", {}]', dtype=np.uint8)}],
    ids=["inputs", "outputs", "NaN", "type", "a part is missing", "typical day", "a part too many",
         "objects", "record"])
def test_another_shape_is_refused_though_signed(changed: dict[str, object]) -> None:
    with pytest.raises(GiveUpError):
        read(signed(body_with(**changed), KEY), KEY)


def test_the_shipped_one_is_taken_by_its_digest_alone() -> None:
    body = written(actor())
    digest = hashlib.sha256(body).hexdigest()
    assert read(shipped(body), digest=digest).record == actor().record
    with pytest.raises(GiveUpError):
        read(shipped(body), digest="")
    with pytest.raises(GiveUpError):
        read(shipped(body_with(b0=np.ones(96, dtype=np.float32))), digest=digest)


def test_what_is_shipped_is_whole_and_tells_of_itself() -> None:
    found = load(actors.FILE)
    assert found.record.licence
    assert len(found.record.costs["no battery"]) == 64
    assert found.record.violations == 0
    assert {one.role for one in found.record.verdicts} == {"site", "edge"}
    assert decision_us(found) <= 100.0


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GiveUpError, match=r"nowhere\.actor"):
        load(tmp_path / "nowhere.actor")


def exported(path: Path, version: str, *verdicts: object) -> Path:
    own = actor(1, 96)
    told = record(*verdicts)  # type: ignore[arg-type]
    made = Actor(own.layers, own.typical, type(told)(**{
        **{name: getattr(told, name) for name in told.__struct_fields__}, "version": version}))
    export(made, KEY, path)
    return path


def test_only_what_the_gate_let_is_deployed_and_there_is_a_way_back(tmp_path: Path) -> None:
    place = tmp_path / "drives" / "actor.orrery"
    deploy(exported(tmp_path / "a", "first", SITE_LET).read_bytes(), place, KEY, "site")
    second = exported(tmp_path / "b", "second", SITE_LET).read_bytes()
    for _ in range(2):  # again: the way back stays
        deploy(second, place, KEY, "site")
    from core.errors import RequestError
    with pytest.raises(RequestError, match=r"3\.00 a day more"):
        deploy(exported(tmp_path / "c", "third", SITE_REFUSED).read_bytes(), place, KEY, "site")
    with pytest.raises(RequestError, match="never judged"):
        deploy(exported(tmp_path / "d", "fourth", SITE_LET).read_bytes(), place, KEY, "edge")
    with pytest.raises(GiveUpError):
        deploy((tmp_path / "a").read_bytes(), place, "another key, also long", "site")
    assert load(place, KEY).record.version == "second"
    assert roll_back(place, KEY).version == "first"
    assert load(place, KEY).record.version == "first"
    with pytest.raises(RequestError, match="nothing before"):
        roll_back(place, KEY)


def test_too_large_a_policy_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(GiveUpError, match="fewer weights"):
        export(actor(1, 256), KEY, tmp_path / "large")
    assert not (tmp_path / "large").exists()
