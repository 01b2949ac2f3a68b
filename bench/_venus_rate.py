"""How many messages a second the Venus source takes through a real Mosquitto, none lost.

Another process is the GX: it counts up on 40 topics. The figures are of this process, in
which the source runs as in the app, polled once a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import figure_line
from core.clock import SystemClock
from core.errors import NotYetError, SourceError
from core.topology import DEFAULT_LEVELS, Topology
from scripts.app_process import ROOT, free_port
from scripts.test import find_mosquitto
from sim.venus_gate import VenusGate, payload
from sources.venus_link import VenusLink
from sources.venus_mqtt import Battery, Options, VenusSource, broker_of
from sources.venus_state import VenusState
from sources.venus_topics import BATTERY, SYSTEM

LOOPBACK = "127.0.0.1"
PORTAL = "bench0000001"
INSTANCES = (7, 8)
RATE_PER_S = 2000
SECONDS, SHORT_SECONDS = 30.0, 2.0
TOPICS = [*(f"battery/{instance}{path}" for instance in INSTANCES for path in BATTERY),
          *(f"system/0{path}" for path in list(SYSTEM)[-8:])]
BATCH_S = 0.01
HIGHEST = 4  # plausible on every topic: volts of a cell are the narrowest
PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """sent: messages of the GX; taken: those that the source used. seconds: from the first to
    the last of them. cpu_s_per_s: of the receiving process. errors: polls that failed."""

    sent: int
    taken: int
    seconds: float
    cpu_s_per_s: float
    errors: int

    @property
    def lost(self) -> int:
        return self.sent - self.taken

    @property
    def per_s(self) -> float:
        return self.taken / self.seconds


class CountingState(VenusState):
    """Counts what it takes; only the thread of the connection writes."""

    count = 0
    last_s = 0.0

    def take(self, topic: str, payload: bytes, retained: bool = False) -> None:
        super().take(topic, payload, retained)
        self.count += 1
        self.last_s = time.perf_counter()


def run(short: bool = False) -> Iterator[dict[str, Any]]:
    """2,000 messages a second for half a minute; `short` for two seconds."""
    found = measure_throughput(RATE_PER_S, SHORT_SECONDS if short else SECONDS)
    case = f"{RATE_PER_S} messages/s, {len(TOPICS)} topics"
    yield figure_line("energy", case, "taken", found.per_s, "/s", RATE_PER_S * 0.99, "higher")
    yield figure_line("energy", case, "lost", found.lost, "", 0.0)
    yield figure_line("energy", case, "CPU of the receiver", found.cpu_s_per_s, "s/s", 1.0)


def measure_throughput(rate_per_s: float, seconds: float) -> Throughput:
    """Publish `rate_per_s` for `seconds` [s] and count what the source took; raises
    RuntimeError where Mosquitto is missing or the source never gets to read."""
    with mosquitto() as port:
        state = CountingState(INSTANCES)
        source = _source(port, state)
        command = [sys.executable, "-m", "bench._venus_rate", str(port), str(rate_per_s),
                   str(seconds)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as gx:
            try:
                return _received(source, state, gx)
            finally:
                source.close()
                gx.kill()


def _source(port: int, state: VenusState) -> VenusSource:
    batteries = [Battery(instance=instance, name=f"Bank {instance}") for instance in INSTANCES]
    options = Options(host=LOOPBACK, port=port, batteries=batteries)
    source = VenusSource("bench", options, state,
                         VenusLink(broker_of("bench", options), state, 30.0))
    source.start(SystemClock().now(), Topology(DEFAULT_LEVELS, source.roots))
    return source


def _received(source: VenusSource, state: CountingState,
              gx: subprocess.Popen[str]) -> Throughput:
    """Poll once a second until the GX has ended and all of it is here, or nothing more comes."""
    _until(lambda: state.count > 0)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    errors, polled_s = 0, began_s
    while gx.poll() is None:
        time.sleep(0.02)
        if time.perf_counter() - polled_s >= source.info.period_s:
            polled_s = time.perf_counter()
            errors += _poll_fails(source)
    assert gx.stdout is not None
    sent = int(json.loads(gx.stdout.read())["sent"])
    _until(lambda: state.count >= sent, 3.0, or_fail=False)
    spent_s = time.perf_counter() - began_s
    taken = state.count - sum(state.dropped.values())
    return Throughput(sent, taken, state.last_s - began_s,
                      (time.process_time() - began_cpu_s) / spent_s, errors)


def _poll_fails(source: VenusSource) -> bool:
    try:
        source.poll(SystemClock().now())
    except NotYetError:
        return False
    except SourceError:
        return True
    return False


def _until(holds: Any, patience_s: float = PATIENCE_S, *, or_fail: bool = True) -> None:
    deadline_s = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline_s:
            if or_fail:
                raise RuntimeError(f"nothing came within {patience_s:g} s")
            return
        time.sleep(0.005)


@contextmanager
def mosquitto() -> Iterator[int]:
    """A broker of its own on loopback; its port. Raises RuntimeError where there is none."""
    program = find_mosquitto()
    if program is None:
        raise RuntimeError("no Mosquitto on this machine: sudo apt-get install mosquitto")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text(f"listener {port} {LOOPBACK}\nallow_anonymous true\n"
                          "persistence false\nlog_dest none\n")
        process = subprocess.Popen([program, "-c", str(config)], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            yield port
        finally:
            process.kill()
            process.wait(10)


# --- the other process ----------------------------------------------------------------------------


class CountingGx:
    """A GX whose values count up; sent: how many of TOPICS' messages it published."""

    def __init__(self, port: int) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.sent = 0
        self._topics = {f"N/{PORTAL}/{topic}" for topic in TOPICS}
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.gate = VenusGate(PORTAL, self._publish)
        self.client.on_connect = lambda client, *_: client.subscribe(f"R/{PORTAL}/#")
        self.client.on_subscribe = lambda *_: self.gate.connected()
        self.client.on_message = lambda _client, _data, message: self.gate.requested(
            message.topic, message.payload)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async(LOOPBACK, port)
        self.client.loop_start()

    def _publish(self, topic: str, said: bytes, retain: bool) -> None:
        self.sent += topic in self._topics
        self.client.publish(topic, said, retain=retain)

    def count_up(self, rate_per_s: float, seconds: float) -> None:
        """Once somebody asked: `rate_per_s` values, one topic after the other."""
        _until(lambda: self.gate.alive)
        begin_s, number, total = time.monotonic(), 0, round(rate_per_s * seconds)
        pause = threading.Event()
        while number < total:
            due = min(total, round((time.monotonic() - begin_s) * rate_per_s))
            for turn in range(number, due):
                topic = TOPICS[turn % len(TOPICS)]
                value = 0.001 * (turn // len(TOPICS) % 1000) * HIGHEST
                self.gate.tell({topic: payload(round(_sign(topic) * value, 3))})
            number = due
            pause.wait(BATCH_S)

    def close(self) -> None:
        """Send what is still queued, then disconnect."""
        self.client.publish("bench/last", b"", qos=1).wait_for_publish(10.0)
        self.client.disconnect()
        self.client.loop_stop()


def _sign(topic: str) -> float:
    return -1.0 if topic.endswith("/ConsumedAmphours") else 1.0


def main(port: int, rate_per_s: float, seconds: float) -> None:
    gx = CountingGx(port)
    gx.count_up(rate_per_s, seconds)
    gx.close()
    print(json.dumps({"sent": gx.sent}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
