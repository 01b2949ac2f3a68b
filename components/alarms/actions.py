"""What a person does about alarms: tools over the list, dialogs where a reason is asked for,
and what core said to it. Every action is an operator's; the journal writes the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import streamlit as st

from components import blocks, formats, operator
from components.alarms import picks, words
from components.alarms.groups import Listing
from components.api_client import LocalClient
from components.blocks import Html
from core.alarms.actions import LONGEST_TEXT
from core.alarms.journal import AlarmJournal
from core.alarms.records import INFO, TRIP, WARNING, Instance
from core.alarms.states import ASKING, State
from core.errors import OrreryError, RequestError

SAID = "alarms_said"
NAMED = 5
EXPIRIES: Mapping[str, timedelta] = {
    "15 min": timedelta(minutes=15), "1 h": timedelta(hours=1), "4 h": timedelta(hours=4),
    "8 h": timedelta(hours=8)}
MORE = ("suppress", "service")
NOTHING = "Select one alarm or several first."


@dataclass(frozen=True, slots=True)
class Said:
    """What came of the last action. refused: in core's words."""

    done: str
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """done: "3 alarms reset". of: which of the selected it is about; None: all of them. do:
    without further questions; asks: what the dialog asks for, then `do` gets it."""

    label: str
    icon: str
    done: str
    do: Callable[[AlarmJournal, Instance, str, str], Instance]
    of: Callable[[Instance], bool] | None = None
    asks: str = ""
    effect: str = ""


def _latched(one: Instance) -> bool:
    return one.tripped or one.state in (State.LATCHED_UNACKNOWLEDGED, State.LATCHED_ACKNOWLEDGED)


def _in(state: State) -> Callable[[Instance], bool]:
    return lambda one: one.state is state


ACTS: Mapping[str, Act] = {
    "acknowledge": Act("Acknowledge", "check", "acknowledged",
                       lambda journal, one, who, _: journal.acknowledge(one.key, who, one.seen)),
    "comment": Act("Comment", "chat_bubble", "commented",
                   lambda journal, one, who, text: journal.comment(one.key, who, text),
                   asks="Comment", effect="It stays with the alarm, and in the audit."),
    "reset": Act("Reset", "restart_alt", "reset",
                 lambda journal, one, who, _: journal.reset(one.key, who), of=_latched),
    "unshelve": Act("Unshelve", "notifications_active", "back in the list",
                    lambda journal, one, who, _: journal.unshelve(one.key, who),
                    of=_in(State.SHELVED)),
    "unsuppress": Act("Show again", "visibility", "shown again",
                      lambda journal, one, who, _: journal.unsuppress(one.key, who),
                      of=_in(State.SUPPRESSED)),
    "return": Act("Return to service", "play_circle", "returned to service",
                  lambda journal, one, who, _: journal.return_to_service(one.key, who),
                  of=_in(State.OUT_OF_SERVICE)),
    "suppress": Act("Suppress", "visibility_off", "suppressed",
                    lambda journal, one, who, why: journal.suppress(one.key, who, why),
                    asks="Reason",
                    effect="Known and wanted so: out of sight until somebody shows it again."),
    "service": Act("Take out of service", "build_circle", "out of service",
                   lambda journal, one, who, why: journal.out_of_service(one.key, who, why),
                   asks="Reason",
                   effect="For maintenance: it says nothing, not even as a trip, until somebody "
                          "returns it to service."),
}


def tools(client: LocalClient, chosen: Sequence[Instance], listing: Listing) -> None:
    """Buttons for what is selected, one for all that is shown, and what came of the last."""
    why = operator.why_not(client)
    refused = why or ("" if chosen else NOTHING)
    with st.container(key="alarms_tools", horizontal=True, vertical_alignment="center"):
        _buttons(client, chosen, refused)
        if st.button("Shelve", icon=":material/snooze:", key="act_shelve", help=refused or None,
                     disabled=bool(refused)):
            _shelving(client, chosen)
        more = st.menu_button("More", MORE, icon=":material/more_horiz:",
                              format_func=lambda name: ACTS[name].label, key="act_more",
                              disabled=bool(refused), help=refused or None)
        if more is not None:
            _reasoned(client, ACTS[more], chosen)
        _all_shown(client, listing, why)
        if chosen:
            st.button("Clear selection", icon=":material/close:", key="act_clear",
                      type="tertiary", on_click=picks.pick, args=((),))
    _says(chosen, why)


def _buttons(client: LocalClient, chosen: Sequence[Instance], refused: str) -> None:
    for name, act in ACTS.items():
        about = [one for one in chosen if act.of is None or act.of(one)]
        if name in MORE or (act.of is not None and not about):
            continue
        pressed = st.button(act.label, icon=f":material/{act.icon}:", key=f"act_{name}",
                            disabled=bool(refused), help=refused or None,
                            on_click=None if act.asks else _do, args=(client, act, about))
        if pressed and act.asks:
            _reasoned(client, act, about)


def _all_shown(client: LocalClient, listing: Listing, why: str) -> None:
    """Counts what would be acknowledged; the alarms are those of this moment."""
    asking = [one for one in listing.alarms if one.state in ASKING]
    if st.button(f"Acknowledge all shown ({formats.number(len(asking))})", key="act_all",
                 icon=":material/done_all:", disabled=bool(why) or not asking,
                 help=why or (None if asking else "None of them asks for it.")):
        st.dialog("Acknowledge all shown", icon=":material/done_all:")(confirm_all)(
            client, asking)


def confirm_all(client: LocalClient, asking: Sequence[Instance]) -> None:
    """What the dialog holds: all of them or none."""
    tiers = Counter(one.severity for one in asking)
    count = formats.counted(len(asking), "alarm")
    blocks.show(blocks.note(
        f"{count}: {words.by_tier((tiers[INFO], tiers[WARNING], tiers[TRIP]))}. They stay in the "
        "list until their causes are gone; what comes after this moment asks again."))
    if not st.button(f"Acknowledge {count}", type="primary", width="stretch", key="act_all_yes"):
        return
    said = acknowledged(client, asking)
    if said.done:
        _finish(said)
    blocks.show(refusals(said.refused))


def acknowledged(client: LocalClient, about: Sequence[Instance]) -> Said:
    """One transaction; what does not ask for it any more is left out, and so is what came anew or
    got worse since the person looked."""
    try:
        done = client.journal.acknowledge_all({one.key: one.seen for one in about}, _who(client))
    except OrreryError as error:
        return Said("", (str(error),))
    left = _asking(client, about)
    still = f" {formats.counted(left, 'alarm')} came anew or got worse: look again." if left else ""
    return Said(f"{formats.counted(len(done), 'alarm')} acknowledged.{still}")


def _asking(client: LocalClient, about: Sequence[Instance]) -> int:
    """How many of them ask now."""
    now = [client.journal.get(one.key) for one in about]
    return sum(one is not None and one.state in ASKING for one in now)


def _reasoned(client: LocalClient, act: Act, about: Sequence[Instance]) -> None:
    st.dialog(act.label, icon=f":material/{act.icon}:")(ask)(client, act, about)


def ask(client: LocalClient, act: Act, about: Sequence[Instance]) -> None:
    """What a dialog holds that asks for a comment or a reason."""
    blocks.show(_about(client, about), blocks.note(act.effect))
    with st.form("alarm_form", border=False):
        text = st.text_input(act.asks, key="alarm_text", max_chars=LONGEST_TEXT)
        pressed = st.form_submit_button(act.label, type="primary", width="stretch")
    if pressed:
        _close(client, about, act.done,
               lambda one, who: act.do(client.journal, one, who, text))


def _shelving(client: LocalClient, chosen: Sequence[Instance]) -> None:
    st.dialog("Shelve", icon=":material/snooze:")(ask_shelf)(client, chosen)


def ask_shelf(client: LocalClient, about: Sequence[Instance]) -> None:
    """What the dialog holds that asks for an expiry and a reason."""
    blocks.show(_about(client, about),
                blocks.note("Out of sight until then; a trip is never shelved, and one that "
                            "becomes a trip comes back at once."))
    with st.form("alarm_form", border=False):
        span = st.segmented_control("For", list(EXPIRIES), default="1 h", required=True,
                                    key="alarm_span")
        why = st.text_input("Reason", key="alarm_text", max_chars=LONGEST_TEXT)
        once = st.checkbox("Also ends when the condition goes", key="alarm_once")
        pressed = st.form_submit_button("Shelve", type="primary", width="stretch")
    if pressed:
        until = client.now() + EXPIRIES[span or "1 h"]
        _close(client, about, f"shelved for {span}", lambda one, who: client.journal.shelve(
            one.key, who, why, until, once=once))


def _about(client: LocalClient, about: Sequence[Instance]) -> Html:
    """Which alarms a dialog is about."""
    names = [words.short(client.topology, one.key) for one in about[:NAMED]]
    more = [f"and {len(about) - NAMED} more"] if len(about) > NAMED else []
    lines = "".join(f"<div>{blocks.html(text)}</div>" for text in [*names, *more])
    return Html(f'<div class="o o-about">{lines}</div>')


def _close(client: LocalClient, about: Sequence[Instance], done: str,
           do: Callable[[Instance, str], Instance]) -> None:
    """A dialog ends when something was done; refused altogether, it stays and says why."""
    said = _each(client, about, done, do)
    if said.done:
        _finish(said)
    blocks.show(refusals(said.refused))


def _do(client: LocalClient, act: Act, about: Sequence[Instance]) -> None:
    """Callback. Several are acknowledged together; one that cannot be is told why."""
    if act is ACTS["acknowledge"] and len(about) > 1:
        st.session_state[SAID] = acknowledged(client, about)
        return
    st.session_state[SAID] = _each(client, about, act.done,
                                   lambda one, who: act.do(client.journal, one, who, ""))


def _each(client: LocalClient, about: Sequence[Instance], done: str,
          do: Callable[[Instance, str], Instance]) -> Said:
    """One after the other: what core refuses for one does not hold up the others."""
    refused: dict[str, None] = {}
    count = 0
    for one in about:
        try:
            do(one, _who(client))
            count += 1
        except OrreryError as error:
            refused[str(error)] = None
    return Said(f"{formats.counted(count, 'alarm')} {done}." if count else "", tuple(refused))


def _who(client: LocalClient) -> str:
    """A sign-in may have ended since the button was drawn; raises RequestError."""
    who = operator.name(client)
    if who is None:
        raise RequestError(operator.why_not(client))
    return who


def _finish(said: Said) -> None:
    st.session_state[SAID] = said
    st.rerun()


def refusals(texts: Sequence[str]) -> Html:
    """Core's words; nothing where nothing was refused."""
    if not texts:
        return blocks.EMPTY
    rest = len(texts) - NAMED
    lines = [*texts[:NAMED], *([f"and {rest} more"] if rest > 0 else [])]
    told = Html("".join(f"<div>{blocks.html(text)}</div>" for text in lines))
    return blocks.state_box("block", "Refused", told, error=True)


def _says(chosen: Sequence[Instance], why: str) -> None:
    """One element whatever there is to say, so that nothing below it jumps."""
    said: Said = st.session_state.get(SAID) or Said("")
    count = f"{formats.counted(len(chosen), 'alarm')} selected." if chosen else ""
    words_now = " ".join(part for part in (why or count or NOTHING, said.done) if part)
    blocks.show(Html(f'<div class="o o-sel" role="status">{blocks.html(words_now)}</div>'),
                refusals(said.refused))
