"""A fixed day for packs that no coordinator steers yet: `python -m scripts.fleet_day`.

What each pack does follows from the time alone: charging around noon, discharging in the evening,
and a swing of a quarter of an hour that differs from pack to pack. It looks at no price, no load
and no pack; a coordinator takes its place.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
from collections.abc import Sequence

from core.clock import Clock, SystemClock
from core.errors import OrreryError
from core.fleet.catalogue import PackPlate, catalogue
from core.fleet.messages import VERSION, Allocation, said
from core.fleet.topics import allocation_topic
from services.fleet_link import Link, Manner, broker_at

EVERY_S = 5.0
VALID_S = 30.0
MOST_OF_ONE = 500
"""Packs of one message."""
DAY_C, SWING_C, SWING_S = 0.05, 0.15, 900.0
"""Share of the capacity an hour, and the swing's period [s]."""
CHARGING_H, DISCHARGING_H = (10.0, 14.0), (17.0, 21.0)
HOUR_S, DAY_S = 3600.0, 86_400.0
GOLDEN = 0.618
"""Turns that lie far from each other, pack after pack."""


def power_kw(at: int, plate: PackPlate, now_s: float) -> float:
    """Of pack number `at` at `now_s` [s since 1970]; + is discharging (law 1), hours are UTC."""
    hour = now_s % DAY_S / HOUR_S
    day_c = (DAY_C if DISCHARGING_H[0] <= hour < DISCHARGING_H[1] else
             -DAY_C if CHARGING_H[0] <= hour < CHARGING_H[1] else 0.0)
    swing_c = SWING_C * math.sin(2.0 * math.pi * (now_s / SWING_S + at * GOLDEN))
    return round(plate.capacity_kwh * (day_c + swing_c), 3)


def allocations(site: str, plates: Sequence[PackPlate], now_s: float) -> list[Allocation]:
    """What all packs are asked for now."""
    asked = {plate.device: power_kw(at, plate, now_s) for at, plate in enumerate(plates)}
    devices = list(asked)
    return [Allocation(v=VERSION, site=site, issued_s=now_s, valid_s=VALID_S,
                       power_kw={device: asked[device]
                                 for device in devices[first:first + MOST_OF_ONE]})
            for first in range(0, len(devices), MOST_OF_ONE)]


def publish(site: str, plates: Sequence[PackPlate], link: Link, clock: Clock,
            stop: threading.Event) -> None:
    """Every EVERY_S while there is a connection, until `stop`."""
    while not stop.is_set():
        if link.connected.is_set():
            for allocation in allocations(site, plates, clock.now().timestamp()):
                link.publish(allocation_topic(site), said(allocation), 1, int(VALID_S))
        clock.wait(EVERY_S if link.connected.is_set() else 0.2, stop)


def main(arguments: Sequence[str]) -> int:
    """Until a signal; the exit status."""
    words = argparse.ArgumentParser(prog="python -m scripts.fleet_day", description=__doc__)
    words.add_argument("--site", default="home")
    words.add_argument("--broker", default="mqtt://127.0.0.1:1883")
    words.add_argument("--packs", type=int, default=24)
    asked = words.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        broker = broker_at(asked.broker, username="coordinator")
    except OrreryError as error:
        print(error, file=sys.stderr)
        return 2
    link = Link(broker, f"coordinator-{asked.site}", [], Manner(session_s=0), lambda *_: None)
    link.start()
    try:
        publish(asked.site, catalogue(asked.packs), link, SystemClock(), stop)
    finally:
        link.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
