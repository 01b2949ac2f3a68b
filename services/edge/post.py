"""The sender's work, by the clerk: rows are read and settled on his thread, beside the loop of
safety, which only says what came and what is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from core.errors import RetryLaterError
from core.fleet.messages import Ack
from services.edge.clerk import Clerk
from services.edge.inbox import MOST_HEARD
from services.edge.sender import Sender


class Post:
    """One job at a time, for all that came due meanwhile. failed: is told of which device a row
    could not be read or settled, in the caller's thread."""

    def __init__(self, sender: Sender, clerk: Clerk,
                 failed: Callable[[str, RetryLaterError], None]) -> None:
        self._sender, self._clerk, self._failed = sender, clerk, failed
        self._acks: deque[tuple[str, Ack]] = deque(maxlen=MOST_HEARD)
        self._due: dict[str, None] = {}
        self._anew = self._working = False
        self._now_s = 0.0

    def acked(self, device: str, ack: Ack, now_s: float) -> None:
        """The ingest's word; what its window allows then is sent."""
        self._acks.append((device, ack))
        self.send([device], now_s)

    def send(self, devices: Iterable[str], now_s: float, anew: bool = False) -> None:
        """What the windows allow; anew: after a new connection."""
        self._due |= dict.fromkeys(devices)
        self._anew, self._now_s = self._anew or anew, now_s
        if not self._working:
            self._ask(now_s)

    def _ask(self, now_s: float) -> None:
        due, self._due = self._due, {}
        anew, self._anew = self._anew, False
        failures: list[tuple[str, RetryLaterError]] = []
        self._working = True
        self._clerk.ask(partial(self._work, due, now_s, anew, failures),
                        partial(self._worked, due, anew, failures))

    def _worked(self, due: dict[str, None], anew: bool,
                failures: list[tuple[str, RetryLaterError]],
                failure: RetryLaterError | None) -> None:
        self._working = False
        if failure is not None:  # the clerk never came to it
            self._anew = self._anew or anew
            failures = [(device, failure) for device in due]
        for device, error in failures:
            self._failed(device, error)
        if failure is None and (self._due or self._acks):
            self._ask(self._now_s)

    def _work(self, due: Iterable[str], now_s: float, anew: bool,
              failures: list[tuple[str, RetryLaterError]]) -> None:
        if anew:
            self._sender.begin_anew(now_s)
        for _ in range(len(self._acks)):
            device, ack = self._acks.popleft()
            self._try(failures, device, partial(self._sender.acked, device, ack, now_s))
        for device in due:
            self._try(failures, device, partial(self._sender.send, device, now_s))

    def _try(self, failures: list[tuple[str, RetryLaterError]], device: str,
             work: Callable[[], None]) -> None:
        self._clerk.give_way()
        try:
            work()
        except RetryLaterError as error:
            failures.append((device, error))
