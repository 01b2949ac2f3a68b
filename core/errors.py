"""One tree of exceptions; each tells its reader what to do (law 10)."""

from __future__ import annotations


class OrreryError(Exception):
    """Base of all errors that Orrery raises on purpose."""


class RetryLaterError(OrreryError):
    """The cause is outside and may pass by itself: try again later."""


class ConfigurationError(OrreryError):
    """A person must change the configuration: names file, key, value and what is allowed."""

    def __init__(self, file: str, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{file}: {key} = {value!r} is not allowed; allowed: {allowed}")
        self.file = file
        self.key = key
        self.value = value
        self.allowed = allowed


class GiveUpError(OrreryError):
    """Neither waiting nor configuration helps: a defect or damaged data."""


class SourceError(RetryLaterError):
    """A source did not deliver; the engine asks it again at the next tick."""


class NotYetError(SourceError):
    """A source has asked and waits for its first answer: nothing is lost."""


class HistoryLockedError(ConfigurationError):
    """Another process writes this history directory."""

    def __init__(self, directory: str, holder: str) -> None:
        super().__init__(
            "orrery.toml", "history.directory", directory,
            f"a directory that no other process uses; this one is held by {holder}. "
            "Stop that process or name another directory",
        )
        self.holder = holder


class HistoryDamagedError(GiveUpError):
    """A stored file cannot be read; it was set aside under the name in the message."""


class TopologyError(ConfigurationError):
    """The hierarchy is not a tree of the configured levels (laws 5 and 6)."""


class UnknownIdError(OrreryError):
    """An id or path from outside names nothing in the topology (law 11)."""


class RequestError(OrreryError):
    """A message from outside is not of the documented form (law 11)."""


class ChangedMeanwhileError(RequestError):
    """Somebody else changed it since it was looked at: look again and decide anew."""
