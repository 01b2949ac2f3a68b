"""A learnt policy as plain numbers: a small network that numpy alone runs, in a signed file.

A file is one line and a body: "orrery-actor-1 hmac-sha256 HEX", by the site's own key, or
"orrery-actor-1 shipped HEX", which is taken where the program itself names that digest; then an
npz of the layers' weights, the site's typical day and, as JSON, how the policy was trained.
Nothing of a body is read before its signature holds.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.coordinator.policy import FEATURES, Typical
from core.coordinator.problem import Floats
from core.errors import GiveUpError

F32: TypeAlias = NDArray[np.float32]
Layer: TypeAlias = tuple[F32, F32]

HEAD = b"orrery-actor-1"
BY_KEY, SHIPPED = b"hmac-sha256", b"shipped"
MOST_BYTES = 100_000
MOST_LAYERS, MOST_WIDTH = 4, 512
LEAST_KEY = 16
"""Characters of a key."""
BEFORE = ".before"
"""Of the name of the file that a deployed one took the place of."""
FILE = Path(__file__).parent / "actors" / "shipped.actor"
SHIPPED_SHA256 = "d0c9f7b22f115a3e540193df94be7c78b082785da87a4f5f272a0ed007430571"
"""Of the body of FILE; "" would take none."""


class Verdict(msgspec.Struct, frozen=True):
    """Of the gate. role: "site" or "edge"; champion: whom it had to beat."""

    role: str
    champion: str
    deployed: bool
    words: str


class Record(msgspec.Struct, frozen=True):
    """How a policy came about. trained_on, licence: of the data; start: of the recorded year, of
    whose days those with numbers `days` were judged on; capacity_kwh: of its packs. costs: by
    controller, on each of those days [currency]; captured_pct: of what was possible."""

    version: str
    method: str
    made_at: str
    trained_on: str
    licence: str
    steps: int
    start: str = ""
    capacity_kwh: float = 0.0
    days: tuple[int, ...] = ()
    costs: Mapping[str, tuple[float, ...]] = {}
    captured_pct: Mapping[str, float] = {}
    violations: int = 0
    verdicts: tuple[Verdict, ...] = ()
    words: str = ""

    def verdict(self, role: str) -> Verdict | None:
        return next((one for one in self.verdicts if one.role == role), None)


@dataclass(frozen=True, slots=True)
class Actor:
    """layers: weights [inputs, outputs] and offsets, rectified between them, tanh at the end."""

    layers: Sequence[Layer]
    typical: Typical
    record: Record

    def act(self, features: Floats) -> Floats:
        """Actions [b] in -1..1 for features [b, FEATURES]."""
        values = features.astype(np.float32)
        for weights, offsets in self.layers[:-1]:
            values = np.maximum(values @ weights + offsets, 0.0)
        weights, offsets = self.layers[-1]
        found: Floats = np.tanh(values @ weights + offsets)[:, 0].astype(np.float64)
        return found


def written(actor: Actor) -> bytes:
    """The body of its file."""
    arrays: dict[str, NDArray[np.generic]] = {
        "net": actor.typical.net_per_kwh.astype(np.float32),
        "buy": actor.typical.buy.astype(np.float32),
        "sell": actor.typical.sell.astype(np.float32),
        "record": np.frombuffer(msgspec.json.encode((actor.typical.zone, actor.record)),
                                dtype=np.uint8)}
    for number, (weights, offsets) in enumerate(actor.layers):
        arrays[f"w{number}"], arrays[f"b{number}"] = weights, offsets
    into = io.BytesIO()
    np.savez_compressed(into, allow_pickle=False, **arrays)
    return into.getvalue()


def signed(body: bytes, key: str) -> bytes:
    """The whole file, by a key; raises GiveUpError for one that is too short."""
    return b"%s %s %s\n%s" % (HEAD, BY_KEY, _mac(body, key), body)


def shipped(body: bytes) -> bytes:
    """The whole file, by the digest that belongs into SHIPPED_SHA256."""
    return b"%s %s %s\n%s" % (HEAD, SHIPPED, hashlib.sha256(body).hexdigest().encode(), body)


def read(data: bytes, key: str | None = None, digest: str | None = None) -> Actor:
    """key: the site's; digest: that is taken without one, the program's own where not said.
    Raises GiveUpError, in words, for what is not to be trusted or is no actor."""
    if len(data) > MOST_BYTES:
        raise GiveUpError(f"An actor has at most {MOST_BYTES:,} bytes, this one {len(data):,}")
    head, _, body = data.partition(b"\n")
    words = head.split(b" ")
    if len(words) != 3 or words[0] != HEAD or words[1] not in (BY_KEY, SHIPPED):
        raise GiveUpError("This is no signed actor; export it again with "
                          "python -m services.coordinator.rl")
    if words[1] == SHIPPED:
        _check_digest(body, SHIPPED_SHA256 if digest is None else digest)
    elif not key:
        raise GiveUpError("The actor is signed with a key that is not known here; name its secret "
                          "in [coordinator] actor_key_secret, or by --actor-key-variable")
    elif not hmac.compare_digest(words[2], _mac(body, key)):
        raise GiveUpError("The actor was changed after it was signed, or signed with another key; "
                          "it is not used: deploy one again, or go back to the one before")
    return _parsed(body)


def load(path: Path, key: str | None = None) -> Actor:
    """Raises GiveUpError."""
    return read(data_of(path), key)


def data_of(path: Path) -> bytes:
    """Of a file, a byte more than an actor may have where it is longer. Raises GiveUpError."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise GiveUpError(f"{path} cannot be read: {error.strerror}; see that the file of the "
                          "learnt policy is there") from error


def _mac(body: bytes, key: str) -> bytes:
    if len(key) < LEAST_KEY:
        raise GiveUpError(f"A key of {len(key)} characters is no secret; give at least "
                          f"{LEAST_KEY}")
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest().encode()


def _check_digest(body: bytes, digest: str) -> None:
    if not digest or not hmac.compare_digest(hashlib.sha256(body).hexdigest(), digest):
        raise GiveUpError("The actor is not the one that this version of Orrery ships; it is not "
                          "used: install Orrery again, or export it with a key of your own")


def _parsed(body: bytes) -> Actor:
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as told:
            arrays = {name: told[name] for name in told.files}
        zone, record = msgspec.json.decode(arrays.pop("record").tobytes(),
                                           type=tuple[str, Record])
        ZoneInfo(zone)
        typical = Typical(zone, *(_table(arrays.pop(name)) for name in ("net", "buy", "sell")))
        count = len(arrays) // 2
        layers = [(_numbers(arrays.pop(f"w{at}"), 2), _numbers(arrays.pop(f"b{at}"), 1))
                  for at in range(count)]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError,
            ZoneInfoNotFoundError) as error:
        raise GiveUpError(f"The actor cannot be read: {error}") from error
    _check_shape(layers, bool(arrays))
    return Actor(layers, typical, _spelled(record))


def _spelled(record: Record) -> Record:
    """With the words of the gate as people read them; older ones write MPC small."""
    return msgspec.structs.replace(record, verdicts=tuple(
        msgspec.structs.replace(one, words=one.words.replace(" mpc", " MPC"))
        for one in record.verdicts))


def _numbers(values: NDArray[np.generic], axes: int) -> F32:
    if values.ndim != axes or values.dtype != np.float32 or max(values.shape) > MOST_WIDTH:
        raise ValueError(f"weights of shape {values.shape} and type {values.dtype}")
    found = values.astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("a weight is not finite")
    return found


def _table(values: NDArray[np.generic]) -> Floats:
    if values.shape != (12, 24):
        raise ValueError(f"a typical day of shape {values.shape}, not (12, 24)")
    return _numbers(values, 2).astype(np.float64)


def _check_shape(layers: Sequence[Layer], more: bool) -> None:
    inputs = FEATURES
    for weights, offsets in layers:
        if weights.shape != (inputs, len(offsets)):
            raise GiveUpError(f"The actor's weights are {weights.shape}, not "
                              f"{(inputs, len(offsets))}: it was made for another version")
        inputs = len(offsets)
    if more or not 1 <= len(layers) <= MOST_LAYERS or inputs != 1:
        raise GiveUpError("The actor is of another shape than this version runs; train it anew")
