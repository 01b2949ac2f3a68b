"""The connection to the broker that a Husdata gateway publishes to.

The gateway knows commands at `<prefix>/HP/CMD`; of these Orrery sends one, GETALL, which makes
it tell all that it knows, and never writes to `<prefix>/HP/SET`. Its makers document no limit
of how often that may be asked; it is asked at each connection and every few minutes, and while
it says nothing, which it does as long as it is itself not connected, after growing pauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.clock import Clock
from core.errors import NotYetError, SourceError
from sources.husdata_state import HusdataState
from sources.mqtt_link import Broker, MqttLink

if TYPE_CHECKING:  # paho is loaded by `start` alone
    from paho.mqtt.client import Client

GET_ALL = b"GETALL"
ANY_PREFIX = "+"
FIRST_PAUSE_S = 5.0
MOST_DOUBLINGS = 16
FIRST_VALUES_S = 10.0  # a gateway answers GETALL one register after the other


class HusdataLink(MqttLink):
    """Fills a HusdataState. every_s: between two GETALL [s]."""

    haste_s = 10.0

    def __init__(self, broker: Broker, prefix: str, state: HusdataState, every_s: float,
                 seconds: Callable[[], float] = time.monotonic,
                 clock: Clock | None = None) -> None:
        super().__init__(broker, seconds, clock)
        self._prefix = prefix
        self._state = state
        self._every_s = every_s
        self._unanswered = 0
        self._next_s = self._since_s

    def tend(self) -> None:
        """Ask for everything when it is time; called at every poll."""
        with self._lock:
            due = self._connected and self._seconds() >= self._next_s
        if due and self._client is not None:
            self._ask_everything(self._client)

    def check(self) -> None:
        """As MqttLink's; SourceError, too, where it is not clear whose values are meant."""
        super().check()
        seen = self._state.prefixes
        if len(seen) > 1:
            raise SourceError(f"{self._broker.address}: several gateways publish here "
                              f"({', '.join(seen)}); name the pump's own as prefix")

    def ask_now(self) -> None:
        """As MqttLink's; raises SourceError, too, as long as nobody is known who could be asked.
        """
        self._usable()
        if not self._state.prefixes:
            raise self.silence()
        super().ask_now()

    def silence(self, why: str = "") -> SourceError:
        """What to say while there is no live value, or none that can be used, for which `why`
        is told; a NotYetError as long as that is normal."""
        with self._lock:
            waited_s = self._seconds() - self._since_s
        named, retained = self._state.prefixes, self._state.retained
        what = why or ("nothing is heard of it" if named else
                       "no Husdata topic (<mac>/HP/...) comes")
        words = f"{self._broker.address}: connected to {named[0] if named else 'it'}, but {what}"
        kept = (f". Retained values, whose age nobody knows, came ({retained}) and are not shown"
                if retained else "")
        if waited_s < FIRST_VALUES_S:
            return NotYetError(f"{words} yet{kept}")
        return SourceError(f"{words}{kept}. See whether the gateway is on, shows the pump's data "
                           "and publishes to this broker, and correct prefix and profile")

    def _forget(self) -> None:
        self._state.clear()
        with self._lock:  # `_subscribe` asks first
            self._unanswered = 0
            self._next_s = self._seconds() + self._every_s

    def _subscribe(self, client: Client) -> None:
        client.subscribe(f"{self._prefix or ANY_PREFIX}/HP/#")
        self._ask_everything(client)

    def _ask_everything(self, client: Client) -> None:
        """GETALL to the one gateway that is meant; nothing while that is not known."""
        named, silent = self._state.prefixes, not self._state.known
        with self._lock:
            pause_s = FIRST_PAUSE_S * 2.0 ** min(self._unanswered, MOST_DOUBLINGS)
            self._next_s = self._seconds() + (min(pause_s, self._every_s) if silent
                                              else self._every_s)
            self._unanswered += silent
        if len(named) == 1:
            self._publish(client, f"{named[0]}/HP/CMD", GET_ALL)

    def _take(self, client: Client, topic: str, payload: bytes, retained: bool) -> None:
        before = self._state.prefixes
        wrong = self._state.take(topic, payload, retained)
        if wrong:
            self.conversation.error(wrong)
        if not before and self._state.prefixes:
            self._ask_everything(client)
