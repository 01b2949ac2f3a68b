"""A wire to a server that can be cut right after a commit went through, before its answer."""

from __future__ import annotations

import select
import socket
import threading
from types import TracebackType
from typing import Self

from scripts.app_process import LOOPBACK

COMMIT = b"COMMIT"


class Proxy:
    """Forwards connections to a port. `lose_next_commit` lets the server commit and then cuts
    that connection without telling its client."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        self.lost = 0
        self._losing = False
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def lose_next_commit(self) -> None:
        self._losing = True

    def _accept(self) -> None:
        while not self._stop.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                thread = threading.Thread(target=self._forward, args=(self._listener.accept()[0],))
                self._threads.append(thread)
                thread.start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection((LOOPBACK, self._target)) as server:
            while not self._stop.is_set():
                for ready in select.select([client, server], [], [], 0.05)[0]:
                    other = server if ready is client else client
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    other.sendall(data)
                    if ready is client and self._losing and COMMIT in data:
                        self._losing = False
                        assert server.recv(1 << 16)
                        self.lost += 1
                        return
