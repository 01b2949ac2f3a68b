"""The parts of the Space Balls page beside its scene, over a site that a test made.

AppTest runs `page` in the test's own process: `SITE`, `PLACE` and `ASKED` are what the test and
the page share. ASKED: the elements whose alarms the scene asks to acknowledge.
"""

from __future__ import annotations

from components.api_client import LocalClient

SITE: list[LocalClient] = []
PLACE: list[int] = []
ASKED: list[str] = []


def page() -> None:
    """Table, map and alarms of the place; what there is instead of both where nothing is below."""
    from components import operator
    from components.space import alarms, chosen_view, deviation, table
    from tests.components import space_app

    client, place = space_app.SITE[-1], space_app.PLACE[-1]
    operator.sign_in_button(client)
    if client.topology.is_leaf(place):
        chosen_view.show(client, place)
    else:
        table.show(client, place)
        deviation.show(client, place)
    alarms.show(client, place)
    for element in space_app.ASKED:
        alarms.acknowledge_from_scene(client, element)
