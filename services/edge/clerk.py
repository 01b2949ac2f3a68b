"""What an edge process asks of its disk, on a thread of its own: the loop of safety waits for no
disk, however slow that is, and for no lock that is held over a commit."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from core.errors import RetryLaterError
from services.edge.undisturbed import hasten

log = logging.getLogger(__name__)

Work = Callable[[], object]
Then = Callable[[RetryLaterError | None], None]
MOST_JOBS = 100
"""That wait."""
END_S = 20.0
"""So long a disk may take for what was asked before the end [s]."""
LONGEST_PAUSE_S = 0.05
"""That he makes for others [s]."""
BEHIND = "the device's disk is behind, so that no more can wait for it; see its disk"


class Clerk:
    """Jobs one after the other, as they were asked for. Until `begin`, and after `end`, each is
    done at once by who asks. `ask` and `take_up` are for one thread."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Work, Then] | None] = SimpleQueue()
        self._done: deque[tuple[Then, RetryLaterError | None]] = deque()
        self._asked = self._worked = 0
        self._thread: threading.Thread | None = None
        self._calm = threading.Event()
        self._calm.set()

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Meanwhile he begins nothing, so that his thread and the caller's do not take the
        interpreter from each other. Nobody waits for what he has begun."""
        self._calm.clear()
        try:
            yield
        finally:
            self._calm.set()

    def give_way(self) -> None:
        """Within a job of several parts: before each."""
        if self._thread is threading.current_thread():
            self._calm.wait(LONGEST_PAUSE_S)

    def begin(self, wake: Callable[[], None]) -> None:
        """wake: called on its thread each time that `take_up` has something to tell."""
        self._thread = threading.Thread(target=self._work, args=(wake,), name="clerk", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that are not done yet."""
        return self._asked - self._worked

    @property
    def spoke(self) -> bool:
        """Whether `take_up` has something to tell."""
        return bool(self._done)

    def ask(self, work: Work, then: Then, most: int = MOST_JOBS) -> None:
        """then: is told how it went, by `take_up`. Where `most` jobs wait already this one is not
        done, and it is told so at once."""
        if self._thread is None:
            then(_failure_of(work))
        elif self.waiting >= most:
            then(RetryLaterError(BEHIND))
        else:
            self._asked += 1
            self._jobs.put((work, then))

    def take_up(self) -> None:
        """Tell how it went, in the caller's thread."""
        while self._done:
            then, failure = self._done.popleft()
            then(failure)

    def end(self, within_s: float = END_S) -> bool:
        """Once all that was asked is done; False where that takes longer [s], and it is not."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(within_s)
            if self._thread.is_alive():
                log.error("what waited for the disk is lost: it did not answer for %.0f s",
                          within_s)
                return False
            self._thread = None
        self.take_up()
        return True

    def _work(self, wake: Callable[[], None]) -> None:
        hasten()
        while (job := self._jobs.get()) is not None:
            work, then = job
            self.give_way()
            failure = _failure_of(work)
            self._worked += 1
            self._done.append((then, failure))
            wake()


def _failure_of(work: Work) -> RetryLaterError | None:
    """Whatever goes wrong with a job, the next one is done."""
    try:
        work()
    except RetryLaterError as error:
        return error
    except Exception as error:  # noqa: BLE001 - else nothing would ever be written again
        log.exception("this program fails at writing")
        return RetryLaterError(f"the device's program fails at writing ({error})")
    return None
