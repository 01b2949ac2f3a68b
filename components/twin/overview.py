"""What the twin doubts, on the Overview."""

from __future__ import annotations

from components import blocks, formats
from components.api_client import Client
from components.blocks import Html, PressRow
from components.twin import choice, words
from core.twin.diagnosis import Verdict

MOST = 3


def show(client: Client) -> None:
    """Nothing where it doubts nothing."""
    site = client.twin_site()
    if isinstance(site, str) or not site.doubted.size:
        return
    topology, nodes = client.topology, site.doubted.tolist()
    blocks.show(blocks.heading("Digital twin", formats.counted(len(nodes), "pack") + " doubted"))
    rows = [PressRow(topology.ids[node], f"Digital twin of {words.name(topology, node)}",
                     _row(words.full_name(topology, node), site.judged[topology.ids[node]].verdict))
            for node in nodes[:MOST]]
    pressed = blocks.press_rows(rows, key="twin")
    if len(nodes) > MOST:
        more = formats.number(len(nodes) - MOST)
        blocks.show(blocks.note(f"And {more} more under Digital twin."))
    if pressed is not None:
        choice.open_pack(pressed)


def _row(name: str, verdict: Verdict) -> Html:
    icon, word = words.VERDICTS[verdict.word]
    return blocks.join(Html('<div class="o o-row o-doubt">'), blocks.symbol(icon),
                       Html('<span class="nm">'), name, Html('</span><span class="mut">'),
                       f"{word}: {words.short_cause(verdict)}", Html("</span></div>"))
