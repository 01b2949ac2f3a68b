"""What an edge device has measured and nobody has taken yet: SQLite, WAL, synchronous=FULL.

A row is numbered and on the disk before it is sent, and goes when the ingest itself says so. One
file may serve several devices of one process: what is put together is one commit, and what was
settled before goes with it; a process that is killed in between sends that again. A second
process finds the file taken. Whoever must wait for no disk has the outbox' clerk do it.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from core.errors import ConfigurationError, RetryLaterError
from core.fleet.entries import MOST_GIVEN_UP
from core.fleet.messages import Ack, Body, decode, packed
from core.fleet.rejections import RejectedError
from services.edge.clerk import Clerk, Then

log = logging.getLogger(__name__)

MOST_ROWS = 100_000
CLOSE_S = 5.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS devices
    (device TEXT PRIMARY KEY, stream TEXT NOT NULL, base INTEGER NOT NULL, last INTEGER NOT NULL,
     high INTEGER NOT NULL, dropped INTEGER NOT NULL, made INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting
    (device TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
     PRIMARY KEY (device, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commands
    (id TEXT NOT NULL, device TEXT NOT NULL, kept_until_s REAL NOT NULL, state TEXT NOT NULL,
     reason TEXT NOT NULL, PRIMARY KEY (id, device)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing
    (device TEXT PRIMARY KEY, stopped TEXT NOT NULL, power_kw REAL, until_s REAL NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS policies
    (device TEXT PRIMARY KEY, running BLOB NOT NULL, before BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS safety
    (device TEXT PRIMARY KEY, memory BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Life:
    """stream, base: as in the Envelope. last: the highest number given; high: the highest that is
    settled; dropped: rows given up because the outbox was full; made: rows ever put in."""

    stream: str
    base: int
    last: int
    high: int
    dropped: int
    made: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Orders that outlive a restart. stopped: the action that stopped the pack, "" for none.
    power_kw: a person's bound on the magnitude of its power until `until_s`, None for none."""

    stopped: str = ""
    power_kw: float | None = None
    until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """Of a pack's learnt policies, b"" for none. before: what a roll-back brings back, None where
    there is nothing to go back to."""

    running: bytes
    before: bytes | None


class Deployed(NamedTuple):
    """files: None where what the device is started with counts again."""

    files: PolicyFiles | None


class CommandRow(NamedTuple):
    """The answer to a command, with what stands then, None for no change. until_s: as long as it
    is remembered [s since 1970]."""

    id: str
    device: str
    until_s: float
    state: str
    reason: str
    standing: Standing | None = None
    deployed: Deployed | None = None


class Outbox:
    """Threads may share it; `life` and `command` wait for no disk. clerk: whom a loop asks that may
    not wait for it. Raises ConfigurationError where another process has the file, and
    RetryLaterError, with nothing changed, when the disk takes nothing or cannot be read."""

    def __init__(self, path: Path, devices: Sequence[str], most_rows: int = MOST_ROWS) -> None:
        self._lock = threading.Lock()
        self._most = most_rows
        self._settled: set[str] = set()
        self._moved: dict[str, list[tuple[int, float]]] = {}
        self._memories: Callable[[], Mapping[str, bytes]] = dict
        self._remembered: dict[str, bytes] = {}
        self.clerk = Clerk()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db, self._lives = self._open(path, devices)
            self._commands = {(row[0], row[1]): CommandRow(*row)
                              for row in self._db.execute("SELECT * FROM commands")}
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                "the command line", "--outbox", str(path), "a file of this device alone; another "
                f"process has it, or it is damaged or cannot be written ({error})") from error
        self._begun = {device: life.last for device, life in self._lives.items()}

    @staticmethod
    def _open(path: Path, devices: Sequence[str]) -> tuple[sqlite3.Connection, dict[str, Life]]:
        db = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(SCHEMA)
            with db:
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT OR IGNORE INTO devices VALUES (?, ?, 0, 0, 0, 0, 0)",
                               [(device, new_stream()) for device in devices])
            lives = {row[0]: Life(*row[1:]) for row in db.execute("SELECT * FROM devices")}
        except sqlite3.Error:
            db.close()
            raise
        return db, lives

    def memories(self) -> Mapping[str, bytes]:
        """What `keep_with_bodies` asks for, as it is now."""
        return self._memories()

    def put(self, bodies: Mapping[str, bytes],
            memories: Mapping[str, bytes] | None = None) -> dict[str, int]:
        """Number and keep one row a device, in one commit; the numbers. memories: as `memories`
        said when the bodies were made; asked for now when None."""
        told = self.memories() if memories is None else memories
        with self._lock:
            lives = {device: self._next(self._lives[device]) for device in bodies}
            rows = [(device, life.last, bodies[device]) for device, life in lives.items()]
            memories = {device: memory for device, memory in told.items()
                        if self._remembered.get(device) != memory}
            with self._transaction() as db:
                self._forget()
                self._remember(memories)
                db.executemany("INSERT INTO waiting VALUES (?, ?, ?)", rows)
                lives = {device: self._bounded(device, life) for device, life in lives.items()}
                self._keep(lives)
            self._settled.clear()
            self._lives.update(lives)
            self._remembered.update(memories)
            return {device: life.last for device, life in lives.items()}

    @staticmethod
    def _next(life: Life) -> Life:
        return Life(life.stream, life.base, life.last + 1, life.high, life.dropped, life.made + 1)

    def _bounded(self, device: str, life: Life) -> Life:
        """Give up the oldest rows above the bound."""
        if life.last - life.high <= self._most:
            return life
        high = life.last - self._most
        gone = self._db.execute("DELETE FROM waiting WHERE device = ? AND seq <= ?",
                                (device, high)).rowcount
        return Life(life.stream, life.base, life.last, high, life.dropped + gone, life.made)

    def _forget(self) -> None:
        """What was settled since the last commit."""
        lives = {device: self._lives[device] for device in self._settled}
        self._db.executemany("DELETE FROM waiting WHERE device = ? AND seq <= ?",
                             [(device, life.high) for device, life in lives.items()])
        self._keep(lives)

    def take(self, device: str, ack: Ack) -> bool:
        """Forget what the ingest has settled, or number anew where it asks for that, or where it
        has numbers of this stream that this file never gave: it is an old image, and its later life
        gave them. False where the word is about another stream than this outbox's."""
        with self._lock:
            life = self._lives[device]
            if ack.refused == life.stream:
                return ack.renumber and self._renumber(device, life, ack.high)
            if ack.stream != life.stream or ack.high - life.last > MOST_GIVEN_UP:
                return False
            if ack.high > life.last:
                log.warning("%s: numbers up to %d were given by a later life of this outbox; what "
                            "waits is numbered anew", device, ack.high)
                return self._renumber(device, life, ack.high)
            if ack.high > life.high:
                self._lives[device] = Life(life.stream, life.base, life.last, ack.high,
                                           life.dropped, life.made)
                self._settled.add(device)
            return True

    def _renumber(self, device: str, life: Life, base: int) -> bool:
        """The same bodies as a new stream from base + 1 on."""
        stream = new_stream()
        with self._transaction() as db:
            rows = db.execute("SELECT seq, body FROM waiting WHERE device = ? AND seq > ? "
                              "ORDER BY seq", (device, life.high)).fetchall()
            db.execute("DELETE FROM waiting WHERE device = ?", (device,))
            db.executemany("INSERT INTO waiting VALUES (?, ?, ?)",
                           [(device, base + 1 + at, self._timed(device, *row))
                            for at, row in enumerate(rows)])
            anew = Life(stream, base, base + len(rows), base, life.dropped, life.made)
            self._keep({device: anew})
        earlier = sum(seq <= self._begun[device] for seq, _ in rows)
        self._lives[device], self._begun[device] = anew, base + earlier
        self._moved.pop(device, None)
        return True

    def clock_was_set(self, by_s: float) -> None:
        """What waits and was measured by this process is told with the time that the clock would
        have had then, had it been set before [s]. What an earlier process measured keeps its own:
        nobody knows what was done to the clock since."""
        with self._lock:
            for device, life in self._lives.items():
                if life.last > max(life.high, self._begun[device]):
                    self._moved.setdefault(device, []).append((life.last, by_s))

    def _timed(self, device: str, seq: int, body: bytes) -> bytes:
        """As the clock that was set since would have told it."""
        moves = self._moved.get(device)
        if moves is None or seq <= self._begun[device]:
            return body
        by_s = sum(step_s for last, step_s in moves if seq <= last)
        if not by_s:
            return body
        try:
            told = decode(body, Body, json=False)
        except RejectedError:
            return body
        return packed(msgspec.structs.replace(told, time_s=told.time_s + by_s))

    def give_up(self, device: str, seq: int) -> None:
        """Drop one row that can never be sent, such as one too large for the broker."""
        with self._lock:
            life = self._lives[device]
            with self._transaction() as db:
                gone = db.execute("DELETE FROM waiting WHERE device = ? AND seq = ?",
                                  (device, seq)).rowcount
                less = Life(life.stream, life.base, life.last, life.high, life.dropped + gone,
                            life.made)
                self._keep({device: less})
            self._lives[device] = less

    def _keep(self, lives: Mapping[str, Life]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(device, life.stream, life.base, life.last, life.high, life.dropped, life.made)
             for device, life in lives.items()])

    def life(self, device: str) -> Life:
        return self._lives[device]

    def waiting(self, device: str, after: int, most: int) -> list[tuple[int, bytes]]:
        """(number, body) of at most `most` rows after `after`, rising."""
        with self._lock:
            rows = self._read(
                "SELECT seq, body FROM waiting WHERE device = ? AND seq > ? ORDER BY seq LIMIT ?",
                device, max(after, self._lives[device].high), most)
            return [(seq, self._timed(device, seq, body)) for seq, body in rows]

    def floor(self, device: str) -> int:
        """The lowest number that may still be sent."""
        with self._lock:
            life = self._lives[device]
            (lowest,), = self._read("SELECT min(seq) FROM waiting WHERE device = ? AND seq > ?",
                                    device, life.high)
            return int(lowest) if lowest is not None else life.last + 1

    # -- commands that came: none is acted on twice, also over a restart

    def command(self, command_id: str, device: str) -> tuple[str, str] | None:
        """(state, reason) of a command that came before."""
        found = self._commands.get((command_id, device))
        return None if found is None else (found.state, found.reason)

    def keep_commands(self, rows: Sequence[CommandRow], now_s: float) -> None:
        """Before they are acted on, and after, together with what stands and steers then, in one
        commit; what is older than its time is forgotten."""
        with self._lock:
            with self._transaction() as db:
                db.execute("DELETE FROM commands WHERE kept_until_s < ?", (now_s,))
                db.executemany("INSERT OR REPLACE INTO commands VALUES (?, ?, ?, ?, ?)",
                               [row[:5] for row in rows])
                self._stand({row.device: row.standing for row in rows
                             if row.standing is not None})
                for row in rows:
                    if row.deployed is not None:
                        self._deploy(row.device, row.deployed.files)
            old = [key for key, row in self._commands.items() if row.until_s < now_s]
            for key in old:
                del self._commands[key]
            self._commands |= {(row.id, row.device): row._replace(standing=None, deployed=None)
                               for row in rows}

    def keep_standing(self, standing: Mapping[str, Standing]) -> None:
        """By device, in one commit."""
        with self._lock, self._transaction():
            self._stand(standing)

    def _stand(self, standing: Mapping[str, Standing]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?)",
            [(device, one.stopped, one.power_kw, one.until_s)
             for device, one in standing.items()])

    def commands(self, device: str, state: str, reason: str) -> dict[str, float]:
        """Until when each is kept, by id, of those with this state and reason."""
        with self._lock:
            return dict(self._read("SELECT id, kept_until_s FROM commands WHERE device = ? AND "
                                   "state = ? AND reason = ?", device, state, reason))

    def standing(self, device: str) -> Standing:
        with self._lock:
            found = self._read("SELECT stopped, power_kw, until_s FROM standing "
                               "WHERE device = ?", device)
            return Standing(*found[0]) if found else Standing()

    # -- which learnt policy was deployed

    def policies(self, device: str) -> PolicyFiles | None:
        """None where none ever was."""
        with self._lock:
            found = self._read("SELECT running, before FROM policies WHERE device = ?", device)
            return PolicyFiles(*found[0]) if found else None

    def _deploy(self, device: str, files: PolicyFiles | None) -> None:
        self._db.execute("DELETE FROM policies WHERE device = ?", (device,))
        if files is not None:
            self._db.execute("INSERT INTO policies VALUES (?, ?, ?)",
                             (device, files.running, files.before))

    # -- what a safety monitor must not forget

    def safety(self, device: str) -> bytes | None:
        """What `keep_safety` kept last."""
        with self._lock:
            found = self._read("SELECT memory FROM safety WHERE device = ?", device)
            return bytes(found[0][0]) if found else None

    def keep_safety(self, memories: Mapping[str, bytes]) -> None:
        """By device, in one commit."""
        with self._lock:
            with self._transaction():
                self._remember(memories)
            self._remembered.update(memories)

    def keep_safety_soon(self, memories: Mapping[str, bytes], then: Then) -> None:
        """By the clerk. then: is told how it went."""
        self.clerk.ask(partial(self.keep_safety, memories), then)

    def keep_with_bodies(self, memories: Callable[[], Mapping[str, bytes]]) -> None:
        """Asked for with each commit of bodies; what changed goes with it."""
        self._memories = memories

    def _remember(self, memories: Mapping[str, bytes]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO safety VALUES (?, ?)", memories.items())

    def close(self) -> None:
        """Not where the disk still does not answer whom it was asked by before."""
        if not self._lock.acquire(timeout=CLOSE_S):
            return
        try:
            with suppress(RetryLaterError), self._transaction():
                self._forget()
            self._db.close()
        finally:
            self._lock.release()

    def _read(self, sql: str, *values: object) -> list[Any]:
        """All rows."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _failing(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE ... COMMIT, each of which a full disk may refuse; anything that goes
        wrong leaves nothing behind."""
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _failing(error) from error
        finally:
            if db.in_transaction:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")


def _failing(error: sqlite3.Error) -> RetryLaterError:
    return RetryLaterError(f"the device's disk fails ({error}); make room on it, or mend it")


def new_stream() -> str:
    return secrets.token_hex(8)
