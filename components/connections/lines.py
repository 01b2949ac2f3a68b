"""What a source is called, how much it says, how old that is and what failed, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from components import formats
from core.engine import SourceStatus
from core.ports import PollHealth, Talk

SECONDS_PER_MINUTE = 60


def called(sources: Sequence[SourceStatus]) -> dict[str, str]:
    """Name -> label, with the name beside it where several have that label."""
    labels = Counter(one.info.label for one in sources)
    return {one.info.name: one.info.label if labels[one.info.label] == 1
            else f"{one.info.label} ({one.info.name})" for one in sources}


def per(rate: float) -> str:
    """[1/s] in words: slow ones by the minute."""
    if rate >= 1:
        return f"{formats.number(rate, 1)}/s"
    return f"{formats.number(SECONDS_PER_MINUTE * rate)}/min"


def traffic(status: SourceStatus, talk: Talk | None, now: datetime) -> list[str]:
    """Of one source: messages, questions, when the last answer came, and failures; nothing of one
    in this process."""
    if talk is None:
        return []
    told = [f"{per(talk.rate)} heard"]
    if status.polling is not None:
        told.append(_asked(status.polling))
    last = next((one.at for one in reversed(talk.messages) if one.way == "in"), None)
    told.append("no answer yet" if last is None else
                f"last answer {formats.age((now - last).total_seconds())} ago")
    if talk.failed:
        row = status.polling.failures if status.polling is not None else 0
        told.append(f"{formats.number(talk.failed)} failed" + (f", {row} in a row" if row else ""))
    return told


def _asked(polling: PollHealth) -> str:
    allowed = f" of {formats.number(polling.allowed)}" if polling.allowed else ""
    return f"{formats.number(polling.requests)}{allowed} asked in the last hour"
