"""Who may command the site: the people of `[operators]`, their passwords and their failures.

A password is kept as its scrypt hash, which `python -m scripts.operator_password NAME` makes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.actors import NOT_KNOWN, is_reserved
from core.clock import from_epoch
from core.config import Config, OperatorsConfig
from core.errors import ConfigurationError, RequestError
from core.failed_sign_ins import FailedSignIns
from core.ports import SourceInfo

SESSION = timedelta(hours=12)
"""So long a sign-in holds."""
AHEAD = timedelta(minutes=5)
"""So far a provider's clock may be ahead of this one."""
LONGEST_NAME, LONGEST_PASSWORD, SHORTEST_PASSWORD = 80, 1024, 10
HARMLESS = frozenset({"simulated", "recorded"})
"""Kinds of sources of which nothing real can be commanded."""

_LOG2_N, _R, _P = 15, 8, 3
_MOST_MEMORY = 160 * 1024 * 1024
_HASH = re.compile(r"scrypt\$(?P<log2_n>1[4-7])\$8\$(?P<p>[1-4])"
                   r"\$(?P<salt>[A-Za-z0-9+/=]{24,120})\$(?P<digest>[A-Za-z0-9+/=]{44})")
_FORM = "scrypt$LOG2N$R$P$SALT$HASH, as `python -m scripts.operator_password NAME` prints it"


@dataclass(frozen=True, slots=True)
class ScryptHash:
    """Of one password."""

    log2_n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.log2_n}${self.r}${self.p}${salt}${digest}"

    def fits(self, password: str) -> bool:
        return hmac.compare_digest(self.digest, _scrypt(password, self))


def hashed(password: str) -> ScryptHash:
    """A new hash; raises RequestError for a password that is too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise RequestError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    blank = _of_nobody()
    return replace(blank, digest=_scrypt(password, blank))


def read_hash(text: str) -> ScryptHash:
    """The hash that `text` says; raises RequestError for any other text, cheap hashes too."""
    found = _HASH.fullmatch(text)
    if found is None:
        raise RequestError(f"not {_FORM}")
    try:
        salt, digest = (base64.b64decode(found[name], validate=True)
                        for name in ("salt", "digest"))
    except binascii.Error as error:
        raise RequestError(f"not {_FORM}") from error
    if len(salt) < 16 or len(digest) != 32:
        raise RequestError(f"not {_FORM}")
    return ScryptHash(int(found["log2_n"]), _R, int(found["p"]), salt, digest)


def _of_nobody() -> ScryptHash:
    """Of no password; to try one against it takes as long as against any other."""
    return ScryptHash(_LOG2_N, _R, _P, secrets.token_bytes(16), secrets.token_bytes(32))


def _scrypt(password: str, kept: ScryptHash) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=kept.salt,
                          n=1 << kept.log2_n, r=kept.r, p=kept.p, maxmem=_MOST_MEMORY, dklen=32)


def checked_name(name: str) -> str:
    """As it will stand in the audit; raises RequestError."""
    found = name.strip()
    if not found or len(found) > LONGEST_NAME or not found.isprintable():
        raise RequestError(f"Give a name of 1 to {LONGEST_NAME} printable characters.")
    if is_reserved(found):
        raise RequestError(f"Give another name: {found} stands for no person in the audit.")
    return found


def vouched_email(claims: Mapping[str, object]) -> str | None:
    """The address for which an OpenID provider vouches, None where it does not: whoever may write
    any address into a profile could pass as anybody. Verified is true alone, no word for it (OpenID
    Connect Core 1.0, section 5.1)."""
    email = claims.get("email")
    if not isinstance(email, str) or not email or claims.get("email_verified") is not True:
        return None
    return email


def provided_name(claims: Mapping[str, object]) -> str:
    """Whom an OpenID provider let in, as the audit says it: an address for which it vouches, else
    its own word for that person."""
    try:
        return checked_name(str(vouched_email(claims) or claims.get("sub") or ""))
    except RequestError:
        return NOT_KNOWN


def signed_at(claims: Mapping[str, object]) -> datetime | None:
    """When, by the provider's clock; None where it does not say."""
    told = claims.get("iat")
    if not isinstance(told, (int, float)) or isinstance(told, bool):
        return None
    try:
        return from_epoch(told)
    except (ValueError, OverflowError, OSError):
        return None


class Operators:
    """The door of one site; for any threads."""

    def __init__(self, config: Config) -> None:
        """Of a configuration that `check_operators` let pass; raises ConfigurationError."""
        self._options = config.operators
        self._hashes = {name: _hash_of(config, name) for name in config.operators.names}
        self._nobody = _of_nobody() if self._hashes else None
        self._failures = FailedSignIns()
        self._lock = threading.Lock()

    @property
    def mode(self) -> str:
        return self._options.mode

    @property
    def asks_password(self) -> bool:
        """False in the demo, where any name will do."""
        return self._options.mode == "local" and not self._options.demo

    def shown(self, told: str) -> str:
        """Whose name was told, as it may be kept and shown: what no operator is called may be a
        password in the wrong field."""
        name = told.strip()
        return name if name in self._hashes else NOT_KNOWN

    def sign_in(self, name: str, password: str, now: datetime,
                address: str | None = None) -> str:
        """The name of the operator who signs in locally; raises RequestError in words. address:
        of the browser, None at this machine itself. One at a time: a hash takes 32 MiB, and no
        two attempts may both be the fifth."""
        if self._options.mode != "local":
            raise RequestError("Nobody signs in here by a password.")
        who = checked_name(name)
        if not self.asks_password:
            return who
        with self._lock:
            wait_s = self._failures.wait_s(who, address, now)
            if wait_s:
                raise TooManyFailuresError(f"Too many sign-ins failed. {_wait(wait_s)}")
            kept = self._hashes.get(who, self._nobody)
            fits = kept is not None and len(password) <= LONGEST_PASSWORD and kept.fits(password)
            if not fits or who not in self._hashes:
                left = self._failures.failed(who, address, now)
                then = (f"{left} {'attempts' if left > 1 else 'attempt'} left before a wait."
                        if left else _wait(self._failures.wait_s(who, address, now)))
                raise RequestError(f"Name or password is wrong. {then}")
            self._failures.succeeded(who, address)
        return who

    def by_claims(self, claims: Mapping[str, object], now: datetime) -> str:
        """The operator whom an OpenID provider vouches for; raises RequestError in words."""
        email, signed_at = vouched_email(claims), claims.get("iat")
        if email is None:
            raise RequestError("Your sign-in provider does not vouch for your e-mail address "
                               "(email_verified is not true). Ask whoever runs it.")
        if email.casefold() not in {one.casefold() for one in self._options.emails}:
            raise RequestError(f"{email[:LONGEST_NAME]} is not among the operators of this site.")
        if not isinstance(signed_at, (int, float)) or isinstance(signed_at, bool):
            raise RequestError("Your sign-in provider does not say when you signed in.")
        age_s = now.astimezone(UTC).timestamp() - signed_at
        if not age_s < SESSION.total_seconds():
            raise RequestError("Your sign-in is more than 12 h old: sign out and in again.")
        if age_s < -AHEAD.total_seconds():
            raise RequestError("Your sign-in is of a time yet to come: the clock of this site or "
                               "of your provider is wrong. Set it, then sign out and in again.")
        return email


class TooManyFailuresError(RequestError):
    """Whoever asks must wait; nothing was tried."""


def _wait(seconds: int) -> str:
    return f"Wait {seconds} s, then try again."


def _hash_of(config: Config, name: str) -> ScryptHash:
    try:
        return read_hash(config.operators.names[name])
    except RequestError as error:
        raise ConfigurationError(config.file, f"operators.names.{name}", "(hidden)",
                                 _FORM) from error


def check_operators(config: Config, sources: Iterable[SourceInfo]) -> None:
    """Called at the start; raises ConfigurationError for what does not go together."""
    wrong = _wrong(config.operators, config.sign_in.mode)
    if wrong is not None:
        key, allowed = wrong
        raise ConfigurationError(config.file, f"operators.{key}",
                                 _shown(config.operators, key), allowed)
    for name in config.operators.names:
        _hash_of(config, name)
    real = [info.name for info in sources if info.kind not in HARMLESS]
    if config.operators.demo and real:
        raise ConfigurationError(
            config.file, "operators.demo", True,
            f"false, because the sources {', '.join(real)} are neither simulated nor recorded: "
            "nothing real may be commanded without a password. Make passwords by `python -m "
            "scripts.operator_password NAME`")


def _wrong(options: OperatorsConfig, sign_in: str) -> tuple[str, str] | None:
    """Key and what is allowed instead."""
    told = {"names": bool(options.names), "demo": options.demo, "emails": bool(options.emails)}
    belongs = {"local": {"names", "demo"}, "oidc": {"emails"}}.get(options.mode, set())
    strangers = [key for key, given in told.items() if given and key not in belongs]
    if strangers:
        mode = "oidc" if strangers[0] == "emails" else "local"
        return "mode", f'"{mode}", because {strangers[0]} is given'
    if options.mode == "oidc" and sign_in != "oidc":
        return "mode", '"none" or "local", or [sign_in] mode = "oidc" beside it'
    if options.mode == "oidc" and not options.emails:
        return "emails", "at least one address"
    if options.mode == "local" and told["names"] == told["demo"]:
        return "names", "names with hashed passwords, or demo = true, one of both"
    for name in options.names:
        if name != name.strip() or not name.isprintable():
            return "names", f"printable names without blanks at their ends, not {name!r}"
    for key, people in (("names", list(options.names)), ("emails", options.emails)):
        reserved = next(filter(is_reserved, people), None)
        if reserved is not None:
            return key, f"names of people; {reserved!r} stands for no person in the audit"
    return None


def _shown(options: OperatorsConfig, key: str) -> object:
    """A value as an error may show it: of names, never the hashes."""
    return sorted(options.names) if key == "names" else getattr(options, key)
