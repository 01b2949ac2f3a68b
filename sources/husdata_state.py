"""What a Husdata gateway said last by MQTT; the broker's thread writes, `poll` reads.

A topic is `<prefix>/HP/<register>`, its payload a number as text. Everything else below the
prefix (commands, answers to them) is no reading.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

LONGEST_PAYLOAD = 64
LONGEST_QUOTED = 40
MOST_PREFIXES = 8
BETWEEN = "/HP/"
COMMANDS = ("CMD", "SET")
_REGISTER = re.compile(r"[0-9A-Fa-f]{4}")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NUMBER = re.compile(r"\s{0,8}[+-]?\d{1,15}(\.\d{0,15})?\s{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class News:
    """raw: register -> what it told last, a number, or a text that is none; without what is
    older than the source allows. age_s: register -> how long ago that was [s]. heard: the
    registers that spoke since the last question."""

    raw: dict[str, float | str]
    age_s: dict[str, float]
    heard: frozenset[str]


class HusdataState:
    """Guarded by one lock. prefix: "" = learnt from the first topic. registers: ids that the
    profile knows. `seconds` tells the time since some moment [s]."""

    def __init__(self, prefix: str, registers: Collection[str], lasting_s: float,
                 seconds: Callable[[], float] = time.monotonic) -> None:
        self._registers = {register.upper(): register for register in registers}
        self._told_prefix = prefix
        self._lasting_s = lasting_s
        self._seconds = seconds
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()
        self._seen: list[str] = [prefix] if prefix else []
        self._retained = 0
        self._raw: dict[str, tuple[float | str, float]] = {}
        self._heard: set[str] = set()

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The one that was told; else those that were seen."""
        with self._lock:
            return tuple(self._seen)

    @property
    def dropped(self) -> dict[str, int]:
        """How many messages were not used: "retained", "too large", "malformed", "no register",
        "unknown register"."""
        with self._lock:
            return dict(self._dropped)

    @property
    def known(self) -> bool:
        """Whether a live value came since the connection began."""
        with self._lock:
            return bool(self._raw)

    @property
    def retained(self) -> int:
        """Registers that came retained since the connection began: of an age nobody knows."""
        with self._lock:
            return self._retained

    def clear(self) -> None:
        """Forget all values: what was said meanwhile nobody knows. The counts stay."""
        with self._lock:
            self._raw, self._heard, self._retained = {}, set(), 0
            self._seen = [self._told_prefix] if self._told_prefix else []

    def take(self, topic: str, payload: bytes, retained: bool = False) -> str:
        """One message; never raises. Why it is wrong, in words, "" where it is not."""
        prefix, rest = self._split(topic)
        if rest.split("/", 1)[0] in COMMANDS:
            return ""
        if not prefix or not _REGISTER.fullmatch(rest):
            with self._lock:
                self._dropped["no register"] += 1
            return ""
        with self._lock:
            if prefix not in self._seen and len(self._seen) < MOST_PREFIXES:
                self._seen.append(prefix)
            register = self._registers.get(rest.upper())
            if register is None:
                self._dropped["unknown register"] += 1
                return ""
            if retained:
                self._dropped["retained"] += 1
                self._retained += 1
                return ""
            value, why = _read(payload)
            self._raw[register] = (value, self._seconds())
            self._heard.add(register)
            if why:
                self._dropped[why] += 1
            return f"register {register}: {why}, {value!r}" if why else ""

    def news(self) -> News:
        """What is known, and what spoke since the last call."""
        with self._lock:
            now_s = self._seconds()
            young = {register: told for register, told in self._raw.items()
                     if now_s - told[1] <= self._lasting_s}
            heard = frozenset(self._heard & young.keys())
            self._heard = set()
        return News({register: value for register, (value, _) in young.items()},
                    {register: now_s - at_s for register, (_, at_s) in young.items()}, heard)

    def _split(self, topic: str) -> tuple[str, str]:
        """Prefix and what is below HP; ("", ...) for a topic of another form."""
        if self._told_prefix:
            begin = self._told_prefix + BETWEEN
            return (self._told_prefix, topic[len(begin):]) if topic.startswith(begin) else ("", "")
        prefix, _, rest = topic.partition(BETWEEN)
        return (prefix if _PREFIX.fullmatch(prefix) else "", rest)


def _read(payload: bytes) -> tuple[float | str, str]:
    """What a payload tells and, where that is no number, under which word it is counted."""
    if len(payload) > LONGEST_PAYLOAD:
        return f"{len(payload)} bytes", "too large"
    text = payload.decode("ascii", errors="replace")
    if not _NUMBER.fullmatch(text):
        return text[:LONGEST_QUOTED], "malformed"
    return float(text), ""
