"""PV that a site holds back, where its inverter can: what would pass the limit of export, and all
export while it costs money.

Orrery commands no PV inverter. A site that can curtail has one that keeps to the limit of export
by itself, and stops exporting while that costs money (an energy manager's "zero feed-in").
"""

from __future__ import annotations

import numpy as np

from core.coordinator.plan import Exceeded
from core.coordinator.problem import Connection, Floats, Outlook

NOTICED_KWH = 1e-3


def held_back(flow_kw: Floats, outlook: Outlook, connection: Connection) -> Floats:
    """Of the PV that is expected, what is not made where the connection would carry flow_kw,
    import positive [kW], [steps]; nothing where the site cannot."""
    return held(flow_kw, outlook.pv_kw.expected, outlook.export_price, connection)


def held(flow_kw: Floats, pv_kw: Floats, export_price: Floats, connection: Connection) -> Floats:
    """As `held_back`, of arrays of one length."""
    if not connection.curtailable:
        return np.zeros(len(flow_kw))
    export = np.maximum(-flow_kw, 0.0)
    over = np.maximum(export - connection.export_limit_kw, 0.0)
    found: Floats = np.minimum(np.where(export_price < 0.0, export, over), np.maximum(pv_kw, 0.0))
    return found


def at_grid(pack_kw: Floats, outlook: Outlook, connection: Connection) -> tuple[Floats, Floats]:
    """What the connection carries, import positive, and what PV is held back [kW], [steps], where
    packs do pack_kw [n, steps]."""
    flow = outlook.net_kw - pack_kw.sum(axis=0)
    curtailed = held_back(flow, outlook, connection)
    return flow + curtailed, curtailed


def told(curtailed_kw: Floats, outlook: Outlook, connection: Connection) -> tuple[Exceeded, ...]:
    """How much it is and why, at the step in which it is most."""
    costs = outlook.export_price < 0.0
    parts = (("export costs money then", np.where(costs, curtailed_kw, 0.0)),
             (f"export is limited to {connection.export_limit_kw:.1f} kW",
              np.where(costs, 0.0, curtailed_kw)))
    return tuple(
        Exceeded("use of all PV", int(part.argmax()), total, "kWh",
                 f"PV curtailed by {total:.1f} kWh because {why}")
        for why, part in parts if (total := float(part.sum()) * outlook.step_h) > NOTICED_KWH)
