"""Text becomes markup here, and nowhere else: escaped, with units, icons and pills.

Every plain string is escaped on its way in; only `Html`, which the functions of this package
return, passes as it is. A mistake therefore shows markup to the reader and never runs it
(law 11).
"""

from __future__ import annotations

import re
from html import escape

from components import formats
from components.formats import Text
from core.vocabulary import Direction

TIERS: tuple[str, ...] = ("", "info", "warning", "trip")

# kind -> (icon, class); "live" has a dot for an icon
_PILLS: dict[str, tuple[str, str]] = {
    "trip": ("error", "o-t3"),
    "warning": ("warning", "o-t2"),
    "info": ("info", "o-t1"),
    "cleared": ("check", ""),
    "shelved": ("snooze", ""),
    "live": ("", ""),
    "paused": ("pause", ""),
    "stale": ("history", ""),
    "silent": ("cloud_off", ""),
    "simulated": ("science", ""),
    "recorded": ("movie", ""),
    "derated": ("speed", ""),
    "plain": ("", ""),
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!<>:$~|&])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Streamlit looks for these in the finished text too, where a backslash no longer stands.
_FOUND_LATE = re.compile(r"(?<=:)(?=//|material[/_]|streamlit:)|(?<=www)(?=\.)|(?<=@)(?=\w)",
                         re.IGNORECASE)
_LIVE_DOT = '<span class="d"></span>'


class Html(str):
    """Markup whose texts are escaped already."""

    __slots__ = ()


Content = str | Text | Html
EMPTY = Html("")


def html(content: Content, unit_class: str = "o-un") -> Html:
    """Anything as markup: strings are escaped, a Text gets its small unit."""
    if isinstance(content, Html):
        return content
    if isinstance(content, Text):
        unit = f'<span class="{unit_class}">{escape(content.unit)}</span>' if content.unit else ""
        return Html(escape(content.number) + unit)
    return Html(escape(content))


def markdown(text: str) -> str:
    """`text` for a label that Streamlit reads as Markdown (buttons, captions): nothing in it
    is a sign, an address no link, a line end a blank."""
    return _MARKDOWN.sub(r"\\\1", _FOUND_LATE.sub("\u200b", _CONTROL.sub(" ", text)))


def join(*parts: Content) -> Html:
    """Parts one after the other, each escaped where it is plain text."""
    return Html("".join(html(part) for part in parts))


def code(text: str) -> Html:
    """A key, a command or a path inside a sentence."""
    return Html(f"<code>{escape(text)}</code>")


def strong(text: Content) -> Html:
    """What stands out of a sub line: the age of old data."""
    return Html(f"<b>{html(text)}</b>")


def symbol(name: str) -> Html:
    """A Material symbol; decoration, hidden from screen readers."""
    return Html(f'<span class="o-ic" aria-hidden="true">{escape(name)}</span>')


def pill(kind: str | int, text: str) -> Html:
    """`kind`: a tier (1 info, 2 warning, 3 trip) or a name of _PILLS; unknown is plain."""
    name = TIERS[kind] if isinstance(kind, int) else kind
    icon, look = _PILLS.get(name, _PILLS["plain"])
    mark = symbol(icon) if icon != "" else _LIVE_DOT * (name == "live")
    return Html(f'<span class="{f"o-pill {look}".strip()}">{mark}{escape(text)}</span>')


def tier_pill(tier: int, count: int | None = None) -> Html:
    """"Trip" or, with a count, "1 trip", "2 warnings"; nothing for tier 0 or a count of 0."""
    if tier <= 0 or count == 0:
        return EMPTY
    word = TIERS[tier]
    return pill(tier, word.capitalize() if count is None else formats.counted(count, word))


def direction_mark(direction: Direction, text: str | None = None) -> Html:
    """Arrow in its colour and word in ink (rule 3)."""
    word = formats.direction_word(direction) if text is None else text
    return Html(f'<span class="sta" style="--c:var(--o-{formats.direction_hue(direction)})">'
                f'<span style="color:var(--c)">{symbol(formats.direction_icon(direction))}</span> '
                f"{escape(word)}</span>")
