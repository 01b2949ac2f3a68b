"""Whatever a person does to an alarm or a pack leaves its line in the audit: who, when, what,
why, and what became of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import get_args, get_type_hints

import pytest

from components.fleet import orders
from core.alarms.journal import AlarmJournal
from core.alarms.records import AuditEntry
from core.errors import RequestError, RetryLaterError, SourceError
from core.fleet.effects import MUST_GO
from core.fleet.messages import Command
from tests.components.fleet_site import START, site
from tests.core.alarm_bench import HOT, Bench, hot

WHO, WHY = "Ada", "the sensor is exchanged"
Deed = Callable[[Bench], object]


def _shelved(bench: Bench) -> object:
    until = bench.clock.now() + timedelta(hours=1)
    return bench.journal.shelve(HOT, WHO, WHY, until)


def _latched(bench: Bench) -> None:
    """A trip whose cause is gone, seen."""
    bench.lasting([hot(3)])
    bench.lasting([])
    bench.journal.acknowledge(HOT, "Eve")


def _nothing(bench: Bench) -> None:
    """The open alarm is enough."""


# action -> what comes before, the action, its name in the audit, and the reason that is asked
DEEDS: dict[str, tuple[Deed, Deed, str, str]] = {
    "acknowledge": (_nothing, lambda b: b.journal.acknowledge(HOT, WHO), "acknowledge", ""),
    "acknowledge_all": (_nothing, lambda b: b.journal.acknowledge_all({HOT: None}, WHO),
                        "acknowledge", ""),
    "reset": (_latched, lambda b: b.journal.reset(HOT, WHO), "reset", ""),
    "shelve": (_nothing, _shelved, "shelve", WHY),
    "unshelve": (_shelved, lambda b: b.journal.unshelve(HOT, WHO), "unshelve", ""),
    "suppress": (_nothing, lambda b: b.journal.suppress(HOT, WHO, WHY), "suppress", WHY),
    "unsuppress": (lambda b: b.journal.suppress(HOT, WHO, WHY),
                   lambda b: b.journal.unsuppress(HOT, WHO), "unsuppress", ""),
    "out_of_service": (_nothing, lambda b: b.journal.out_of_service(HOT, WHO, WHY),
                       "out of service", WHY),
    "return_to_service": (lambda b: b.journal.out_of_service(HOT, WHO, WHY),
                          lambda b: b.journal.return_to_service(HOT, WHO), "return to service",
                          ""),
    "comment": (_nothing, lambda b: b.journal.comment(HOT, WHO, WHY), "comment", WHY),
}


def opened(before: Deed) -> Bench:
    """An open warning, what comes before, and an audit that holds nothing yet."""
    bench = Bench()
    bench.lasting([hot()])
    before(bench)
    bench.clock.advance(5)
    bench.store.audit.clear()
    return bench


def test_the_table_has_every_action_of_the_journal() -> None:
    """An action is what takes the name of who acts."""
    acting = {name for name, method in inspect.getmembers(AlarmJournal, inspect.isfunction)
              if "who" in inspect.signature(method).parameters and not name.startswith("_")}
    assert acting == set(DEEDS)


@pytest.mark.parametrize("action", DEEDS)
def test_an_action_on_an_alarm_is_audited(action: str) -> None:
    before, act, name, why = DEEDS[action]
    bench = opened(before)
    state = bench.state()
    act(bench)
    (entry,) = bench.store.audit
    assert isinstance(entry, AuditEntry)
    assert (entry.who, entry.at, entry.action, entry.why) == (WHO, bench.clock.now(), name, why)
    assert (entry.element, entry.condition) == HOT
    assert entry.before
    assert entry.after
    assert (entry.before == entry.after) is (bench.state() is state)


@pytest.mark.parametrize("action", DEEDS)
def test_an_action_that_cannot_be_audited_did_not_happen(action: str) -> None:
    before, act, _, _ = DEEDS[action]
    bench = opened(before)
    known = bench.journal.get(HOT)
    bench.store.broken = True
    with pytest.raises(RetryLaterError):
        act(bench)
    assert bench.journal.get(HOT) == known


@pytest.mark.parametrize("action", [name for name, deed in DEEDS.items() if deed[3]])
@pytest.mark.parametrize("why", ["", "   ", "two\nlines", "x" * 1001])
def test_a_reason_that_is_asked_for_is_given(action: str, why: str) -> None:
    bench = opened(_nothing)
    method = getattr(bench.journal, action)
    more = [bench.clock.now() + timedelta(hours=1)] if action == "shelve" else []
    with pytest.raises(RequestError):
        method(HOT, WHO, why, *more)
    assert not bench.store.audit


# -- commands to packs

VALUES = {"override": (20.0, 900.0)}
"""Of those that have any: power [kW] and how long it holds [s]."""


def test_every_command_of_the_schema_has_its_order() -> None:
    known = set(get_args(get_type_hints(Command)["action"]))
    assert {*orders.KINDS, *orders.POLICIES, "ping"} == known


@pytest.mark.parametrize("whole", [False, True], ids=["pack", "site"])
@pytest.mark.parametrize("action", orders.KINDS)
def test_a_command_is_audited_before_and_after(action: str, whole: bool) -> None:
    client, fleet, clock = site(3)
    clock.advance(7)
    target = orders.of_site(client, "home") if whole else orders.of_pack(client, client.packs()[0])
    values = VALUES.get(action, (None, None))
    orders.send(client, target, action, *values, WHO)
    entry = client.entries[0]
    assert (entry.who, entry.at, entry.action) == (WHO, START + timedelta(seconds=7), action)
    assert entry.element == target.element
    assert entry.before == ("3 normal" if whole else "normal")
    assert entry.after == orders.in_words(action, *values)
    assert {life.command.issuer for life in fleet.lives} == {WHO}
    fleet.answer("refused", "not all clear")
    outcome = client.waited_for(f"{action}: outcome")
    assert (outcome.who, outcome.element, outcome.before) == (WHO, target.element, entry.after)
    assert outcome.after.startswith("3 refused" if whole else "1 refused")
    assert "not all clear" in outcome.after


def test_a_stop_of_many_packs_does_not_look_at_all_for_each() -> None:
    looks = []
    for count in (3, 300):
        client, fleet, _ = site(count)
        target = orders.of_site(client, "home")
        before = fleet.looks
        orders.send(client, target, "emergency_stop", None, None, WHO)
        looks.append(fleet.looks - before)
        assert len(fleet.lives) == count
        fleet.answer("executed")
    assert looks[0] == looks[1]


@pytest.mark.parametrize("action", orders.KINDS)
def test_a_command_that_could_not_be_sent_is_audited_too(action: str) -> None:
    client, fleet, _ = site(1)
    fleet.deaf.add(fleet.told[0].device)
    with pytest.raises(SourceError):
        orders.send(client, orders.of_pack(client, client.packs()[0]), action,
                    *VALUES.get(action, (None, None)), WHO)
    assert [entry.action for entry in client.entries] == [action, f"{action}: outcome"]
    assert "the broker is away" in client.entries[1].after


@pytest.mark.parametrize("action", sorted(MUST_GO))
def test_a_stop_that_could_not_be_sent_says_so_though_nothing_is_written_down(action: str) -> None:
    client, fleet, _ = site(1)
    fleet.deaf.add(fleet.told[0].device)
    client.full = True
    with pytest.raises(SourceError, match=r"not sent; .*the broker is away.*the disk is full"):
        orders.send(client, orders.of_pack(client, client.packs()[0]), action, None, None, WHO)
