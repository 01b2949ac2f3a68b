"""Policies that were learnt and judged, as files of this machine: what a person may deploy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.coordinator.actor import FILE, Actor, Record, Verdict, data_of, read
from core.coordinator.alone import EDGE
from core.coordinator.learnt import SITE
from core.coordinator.view import Evaluation, Policy
from core.errors import GiveUpError, RequestError

NAME = "actor.orrery"
"""Of a run's file, in the run's own folder."""
MOST = 20
SHIPPED = "as shipped"
"""No run can be called so."""
NEVER = "it was never judged for this"


@dataclass(slots=True)
class _Seen:
    changed_ns: int
    policy: Policy


class Candidates:
    """For one thread at a time. folder: of runs; key: that their policies are signed with."""

    def __init__(self, folder: Path, key: str | None) -> None:
        self._folder, self._key = folder, key
        self._seen: dict[Path, _Seen] = {}

    def listed(self) -> list[Policy]:
        """The newest run first, the shipped one last."""
        found = sorted(self._folder.glob(f"*/{NAME}"), key=_changed_ns, reverse=True)[:MOST]
        self._seen = {path: self._look(path) for path in (*found, FILE)}
        return [one.policy for one in self._seen.values()]

    def file(self, name: str) -> bytes:
        """Of a policy by `Policy.name`. Raises RequestError where there is none of it any more,
        GiveUpError for what cannot be read or is not to be trusted."""
        self.listed()
        for path, seen in self._seen.items():
            if seen.policy.name == name:
                data = data_of(path)
                read(data, self._key)
                return data
        raise RequestError(f"There is no policy {name[:80]!r} here any more")

    def _look(self, path: Path) -> _Seen:
        changed_ns, known = _changed_ns(path), self._seen.get(path)
        if known is not None and known.changed_ns == changed_ns:
            return known
        run = SHIPPED if path == FILE else path.parent.name
        try:
            data = data_of(path)
            return _Seen(changed_ns, _policy(run, read(data, self._key), len(data)))
        except GiveUpError as error:
            none = Verdict("", "", False, str(error))
            return _Seen(changed_ns, Policy(run, run, "", "", none, none, str(error)))


def _policy(name: str, actor: Actor, size_bytes: int) -> Policy:
    record = actor.record
    site, edge = (record.verdict(role) or Verdict(role, "", False, NEVER) for role in (SITE, EDGE))
    return Policy(name, record.version, record.method, record.made_at, site, edge,
                  judged=_judged(name, record, size_bytes))


def _judged(name: str, record: Record, size_bytes: int) -> Evaluation | None:
    """What was measured when it was judged; how long a decision takes is another machine's."""
    try:
        at = datetime.fromisoformat(record.made_at)
    except ValueError:
        return None
    if at.tzinfo is None or not record.captured_pct or not record.days:
        return None
    site = record.verdict(SITE)
    return Evaluation(
        record.version, name, at, len(record.days), record.captured_pct,
        {who: sum(costs) / len(costs) for who, costs in record.costs.items() if costs},
        record.violations, site is not None and site.deployed,
        " ".join(f"{one.role.capitalize()}: {one.words}" for one in record.verdicts),
        size_bytes=size_bytes)


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
