"""What people chose as their own defaults: one small JSON file, a person a key.

The person's name is not in it: the key is a digest, enough to find one's own choices again.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Annotated

import msgspec

from core.errors import GiveUpError, RetryLaterError

FILE = "preferences.json"
MOST_PEOPLE = 10_000
Word = Annotated[str, msgspec.Meta(max_length=40)]
Text = Annotated[str, msgspec.Meta(max_length=1000)]
Choices = Annotated[dict[Word, Text], msgspec.Meta(max_length=50)]
People = Annotated[dict[Word, Choices], msgspec.Meta(max_length=MOST_PEOPLE)]


class PreferenceBook:
    """Read once, written whole at each change; safe for the threads of one process."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lock = threading.Lock()
        self._people: People | None = None

    def of(self, person: str) -> dict[str, str]:
        """Their choices, {} where there are none. Raises RetryLaterError, GiveUpError."""
        with self._lock:
            return dict(self._read().get(_key(person), {}))

    def keep(self, person: str, choices: dict[str, str]) -> None:
        """Instead of what they chose before; {} forgets them. Raises RetryLaterError where the
        file cannot be written, GiveUpError where what is there cannot be read."""
        with self._lock:
            people = {**self._read()}
            people.pop(_key(person), None)
            if choices:
                people[_key(person)] = choices
            for oldest in list(people)[: max(0, len(people) - MOST_PEOPLE)]:
                del people[oldest]
            self._write(people)
            self._people = people

    def _read(self) -> People:
        if self._people is None:
            try:
                self._people = msgspec.json.decode(self._path.read_bytes(), type=People)
            except FileNotFoundError:
                self._people = {}
            except OSError as error:
                raise RetryLaterError(f"{self._path} cannot be read: {error.strerror}") from error
            except msgspec.DecodeError as error:
                raise GiveUpError(f"{self._path} is damaged ({error}): remove it, and everybody "
                                  "has the factory's defaults again") from error
        return self._people

    def _write(self, people: People) -> None:
        part = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(msgspec.json.encode(people))
            part.replace(self._path)
        except OSError as error:
            raise RetryLaterError(f"{self._path} cannot be written: {error.strerror}. Make room "
                                  "or rights there, then try again") from error
        finally:
            part.unlink(missing_ok=True)


def _key(person: str) -> str:
    return hashlib.blake2b(person.encode(), digest_size=16).hexdigest()
