"""Questions and lines to InfluxDB over HTTP, and what its refusals mean, in words.

InfluxDB says what is wrong in the body of an error, so it is read here, and no longer than a
sentence; 204 is how it says "done".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TypeVar

import requests
import urllib3

from core.clock import Clock
from sources.http import CHUNK_BYTES, HttpError, Limits, Server, Session, _Line, _Reply

LONGEST_TOLD = 4096
NO_DATABASE = re.compile(r"(database|bucket|retention policy|dbrp mapping)\b.{0,120}?"
                         r"(not found|does not exist|could not be found)"
                         r"|(not found|could not find|no)\b.{0,40}?(database|bucket|dbrp)",
                         re.IGNORECASE | re.DOTALL)
NOT_NUMBERS = re.compile(r"unsupported \w+ iterator type: \*query\.(string|boolean)"
                         r"|unsupported (input )?(aggregate )?(column )?type.{0,60}(string|bool)"
                         r"|cannot (convert|parse).{0,60}to (float|int)", re.IGNORECASE)
TWO_TYPES = re.compile(r"schema collision|cannot group (float|integer|string)|field type conflict",
                       re.IGNORECASE)
NO_RIGHT = re.compile(r"not authorized|unauthorized|authorization failed|insufficient permission"
                      r"|requires? .{0,20}privilege|unable to parse authentication", re.IGNORECASE)
TOO_MUCH = re.compile(r"max-(select|concurrent)|timeout|exceeded|too many|memory", re.IGNORECASE)

T = TypeVar("T")


def sign_in(username: str, secret: str) -> dict[str, str]:
    """The header of a token, or of a user and a password; {} without a secret."""
    if not secret:
        return {}
    if not username:
        return {"Authorization": f"Token {secret}"}
    both = base64.b64encode(f"{username}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {both}"}


class InfluxSession(Session):
    """Asks one InfluxDB; used by one thread, closed by any."""

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def clock(self) -> Clock:
        return self._clock

    def ask(self, path: str, model: type[T], params: Mapping[str, str],
            headers: Mapping[str, str]) -> T:
        """The answer of a question as a `model`; raises HttpError."""
        return self.get(path, model, params=params, headers=headers)

    def write(self, path: str, params: Mapping[str, str], headers: Mapping[str, str],
              lines: bytes) -> None:
        """Have the server keep `lines`; comes back only after it said that it did. Raises
        HttpError; one with status 400 or 413 is final for these lines."""
        typed = {"Content-Type": "text/plain; charset=utf-8", **headers}
        reply = self._exchange("POST", self.server.base_url + path, params, typed, lines)
        if reply.location:
            raise HttpError(f"{self.server.host} redirects what is written; correct base_url")
        if reply.body.strip():
            raise HttpError(f"{self.server.host} took the lines and answers with more than "
                            "InfluxDB does; correct base_url")

    def count(self) -> None:
        """Count a request that another client is about to send; may raise, as `before` does."""
        self._before()

    def late(self) -> HttpError:
        return self._late()

    def too_large(self) -> HttpError:
        limit = self._limits.max_bytes / 2**20
        return HttpError(f"{self.server.host}: the answer is larger than {limit:.3g} MiB and is "
                         "not read; ask for a shorter time")

    def why(self, error: BaseException) -> HttpError:
        """Of an error on the way there or back; never the error's own text."""
        return self._why(error, _Line())

    def _reply(self, response: requests.Response, line: _Line) -> _Reply:
        if response.status_code == 204:
            return _Reply(b"")
        if response.status_code < 400:
            return super()._reply(response, line)
        raise self.refusal(response.status_code, _told(response),
                           response.headers.get("Retry-After", ""))

    def refusal(self, status: int, told: str, retry_after: str = "") -> HttpError:
        """What an error of the server means for a person. told: its body."""
        if status in (401, 403, 429):
            return self._refusal(status, retry_after)
        said = self.shown(told)
        words = meaning(self.server, told)
        if words:
            return HttpError(words, status)
        if status == 413:
            return HttpError(f"{self.server.host} takes fewer lines at once (413)", status)
        if status == 404 or status >= 500:
            plain = self._refusal(status, retry_after)
            heard = f"; it says: {said}" if said else ""
            return HttpError(f"{plain}{heard}", status, plain.after_s)
        return HttpError(f"{self.server.host} answers {status}: {said or 'no word'}", status)


def meaning(server: Server, told: str) -> str:
    """What to do about an error that InfluxDB words itself, in whatever answer; "" for others."""
    host = server.host
    if NO_RIGHT.search(told):
        name = server.secret.name or server.secret.key
        return (f"{host}: this sign-in may not read or write here; correct what {name} holds, or "
                "give that user or token the right")
    if NO_DATABASE.search(told):
        return (f"{host} has no such database or bucket; correct {server.id_key}, or create it. "
                "InfluxDB 2 answers InfluxQL only where a DBRP mapping leads from the database "
                "to the bucket (influx v1 dbrp create), or ask in Flux: language = \"flux\"")
    if TWO_TYPES.search(told):
        return (f"{host}: the field `value` has two types here, so that it cannot be read or "
                "written as one; write decimal numbers into a new measurement and name that")
    if NOT_NUMBERS.search(told):
        return (f"{host}: the field `value` is no number here; correct `measurement`, or what "
                "writes it (value=21.5 without quotes)")
    return ""


def unanswered(session: InfluxSession, told: str) -> HttpError:
    """Of a question whose answer says an error instead."""
    words, host = meaning(session.server, told), session.server.host
    if not words and TOO_MUCH.search(told):
        words = f"{host} finds the question too large; ask for a shorter time"
    return HttpError(words or f"{host} does not answer the question: {session.shown(told)}")


def _told(response: requests.Response) -> str:
    """The beginning of an error's body; never more than LONGEST_TOLD bytes are read."""
    raw: urllib3.HTTPResponse = response.raw
    told = bytearray()
    while len(told) < LONGEST_TOLD and (piece := raw.read1(CHUNK_BYTES, decode_content=True)):
        told += piece
    return bytes(told[:LONGEST_TOLD]).decode(errors="replace")
