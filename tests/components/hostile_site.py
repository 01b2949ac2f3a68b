"""A site all of whose names come from somebody who means ill: packs, a house, a heat pump."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from core.alarms.records import TRIP, AuditEntry
from core.clock import ManualClock
from core.config import Config, OperatorsConfig, SourceConfig
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.plan import Binding, Exceeded
from core.coordinator.records import Run, SiteState
from core.coordinator.settings import Override
from core.coordinator.view import (
    Deployment,
    Evaluation,
    ForecastScore,
    LeftOut,
    Note,
    Shadow,
    TrainingRun,
)
from core.devices import Device, Floats, spread
from core.engine import Engine
from core.errors import SourceError
from core.fleet.messages import VERSION, Command, IngestReport, PartialLimit
from core.fleet.ports import CommandLife, FleetCounts, IngestTold, Refusal
from core.fleet.rejections import Rejection
from core.houses import House
from core.ports import Message, Past, SourceInfo, Talk
from core.pump import AlarmTable, PerformanceMap, PerformancePoint, Pump
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS, NodeSpec
from core.turned_away import Door, Turned
from core.twin.desk import TwinDesk
from store.channels import EmbeddedChannelHistory
from store.records import open_alarms, open_coordinator
from tests.components import coordinator_site
from tests.components.fleet_site import SITE, START, FakeFleet
from tests.components.twin_site import StandingPhysics
from tests.core.house_site import Told, ToldSource
from tests.gateway import house_site, pump_site

PRINTABLE = '"><img src=x onerror=alert(1)>**b**$x$:skull:[l](//e)'
CONTROL = "\x07\u202e\r\n# h"
SIGNS = ("<img", "**b**", "$x$", ":skull:", "[l](", "\n h", "\x07")
"""What must not be left of PRINTABLE and CONTROL in Markdown once its escapes are gone."""
HOURS = 26


def name(kind: str) -> str:
    """A formula, markup, Markdown, mathematics and an emoji, of `kind` (small letters)."""
    return f"={kind}{PRINTABLE}"


def evil(kind: str) -> str:
    """As `name`, with characters that do not print, for what nobody checks."""
    return name(kind) + CONTROL


def _rename(spec: NodeSpec) -> None:
    spec.name = evil(spec.level)
    for child in spec.children:
        _rename(child)


class HostileFleet(FakeFleet):
    """Three packs of four cells: the first has tripped, the second is away."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(3, 4, clock)
        self.info = replace(self.info, label=evil("fleetlabel"))
        for root in self.roots:
            _rename(root)
        for number in range(3):
            self.change(number, label=evil("packlabel"), firmware=evil("firmware"),
                        limit_reason=evil("limitreason"), missing=3, pending=7,
                        policy=evil("packpolicy"), policy_before=evil("packbefore"),
                        partial_limits=(PartialLimit(way="charge", limit="voltage", amps=12.0,
                                                     why=evil("partialwhy")),))
        self.change(0, safety="latched")
        self.change(1, link="offline", rejected={"replayed": 2}, last_refusal=Refusal(
            START, evil("devicetopic"), "replayed", evil("devicewords"), evil("devicepayload")))
        command = Command(v=VERSION, id="1" * 32, issuer=evil("issuer"),
                          issued_s=START.timestamp(), ttl_s=30.0, action="reset")
        self.lives = [CommandLife(command, "home", pack.device, "refused", evil("answer"), START)
                      for pack in self.told]

    def counts(self) -> FleetCounts:
        refusal = Refusal(START, evil("topic"), "too_large", evil("refusal"), evil("payload"))
        report = IngestReport(v=VERSION, site="home", state="running",
                              rejected={Rejection.TOO_LARGE: 1}, trouble=evil("trouble"))
        return FleetCounts("packs", "home", evil("broker"), connected=False, missing=3,
                           rejected={"too_large": 1, evil("rejection"): 2},
                           last_refusal=refusal, ingest=IngestTold(report, START, 1.0, refusal))

    def doors(self) -> Sequence[Door]:
        asked = Turned(START, "role", evil("doorasked"), evil("doorwho"))
        return [Door(evil("door"), {"role": 1}, [asked], START)]

    def reconnect(self) -> None:
        raise SourceError(evil("reconnect"))


class HostileHouse(ToldSource):
    """Devices that are live, and what they say."""

    def __init__(self, devices: Sequence[Device], told: Told) -> None:
        super().__init__(devices, stale_after_s=1e6)
        self.info = SourceInfo("house", evil("houselabel"), "live", 1.0, 1e6, "charge",
                               evil("attribution"))
        self.told, self.error = told, None

    def talk(self) -> Talk:
        return Talk(tuple(Message(START, way, evil(f"talk{way}"))
                          for way in ("in", "out", "error")), 1, 1, 1)

    def problems(self) -> Mapping[str, str]:
        return {"outdoor_c": evil("problem")}


def _lost() -> ToldSource:
    device = Device("home_lost", "home", "inverter", evil("lostdevice"), ("soc_pct",),
                    "discharge", "estimated")
    source = ToldSource((device,))
    source.info = replace(source.info, name="lost", label=evil("lostlabel"))
    source.error = SourceError(evil("trouble"))
    return source


def _devices() -> tuple[Device, ...]:
    points = tuple(PerformancePoint(source, flow, 4.0)
                   for source, flow in ((0.0, 35.0), (0.0, 45.0), (10.0, 35.0)))
    alarms = AlarmTable({10: evil("alarmwords")}, evil("alarmcited"), "code")
    pump = Pump(evil("profile"), evil("brand"), evil("model"), evil("interface"), "brine", alarms,
                performance=PerformanceMap(evil("mapmodel"), evil("mapcited"), points),
                absent={"indoor_c": evil("absent")}, doubts=(evil("doubt"),))
    return (replace(house_site.SHUNT, label=evil("monitor")),
            replace(house_site.INVERTER, label=evil("inverter")),
            replace(pump_site.HEAT_PUMP, label=evil("pumplabel"), pump=pump))


def _past(time_s: Floats) -> Floats:
    """float64[k, channels of the three devices]; the alarm comes and goes."""
    pump = pump_site.past(time_s)[:, :len(pump_site.QUANTITIES)]
    pump[:, pump_site.QUANTITIES.index("alarm_code")] = 10.0 * (time_s % 7200 < 3600)
    return np.column_stack([house_site.past(time_s), pump])


@dataclass(frozen=True)
class HostileSite:
    runtime: Runtime
    fleet: HostileFleet
    clock: ManualClock

    @property
    def engine(self) -> Engine:
        return self.runtime.engine


@contextmanager
def hostile_site(directory: Path) -> Iterator[HostileSite]:
    """With a past of HOURS, open alarms of each kind, and an audit."""
    clock = ManualClock(START)
    fleet = HostileFleet(clock)
    house = HostileHouse(_devices(), {**house_site.SEED, **pump_site.RUNNING})
    engine = Engine(DEFAULT_LEVELS, [fleet, house, _lost()], clock)
    engine.keep_alarms(open_alarms(directory / "alarms", clock))
    engine.attach(None, evil("historyerror"), channels=_history(engine, directory / "channels"))
    config = Config([SourceConfig("packs", "packs")], title=evil("title"), file="orrery.toml",
                    operators=OperatorsConfig(mode="local", demo=True))
    houses = (House("home", evil("houselabel"), ZoneInfo("UTC"), 14.3, 51.2),)
    _raise_alarms(engine, fleet, clock)
    twin = TwinDesk(engine, StandingPhysics(evil("physics")))
    twin.turn()
    coordinator = _coordinator(engine, fleet, clock)
    try:
        yield HostileSite(Runtime(config, engine, houses, None, twin, coordinator), fleet, clock)
    finally:
        coordinator.stop()
        twin.stop()
        engine.stop()


def _coordinator(engine: Engine, fleet: HostileFleet, clock: ManualClock) -> CoordinatorDesk:
    """Whatever a coordinator, another process, people and a training may have written."""
    store, now = open_coordinator(None), clock.now()
    coordinator_site.fill(store, fleet)
    asked = coordinator_site.problem()
    plan = replace(coordinator_site.planned(asked), exceeded=(
        Exceeded(evil("wish"), 3, 12.0, "kW", evil("wishwhy")),), bindings=(
        Binding(evil("limit"), (0, 1), 0.1, "kW"),))
    store.keep_run(SITE, Run(asked, plan, (LeftOut("pack-03", evil("leftout"), evil("leftwhy")),)))
    last = coordinator_site.allocated(fleet)
    store.keep_allocated(SITE, replace(last, words=evil("allocated"), shares=[
        replace(one, why=evil("sharewhy"), refusal=evil("shareno")) for one in last.shares]))
    store.keep_state(SITE, SiteState(now, evil("holder"), now, evil("fallback"), evil("stuck"),
                                     doubts=(evil("doubt"),)))
    store.note(SITE, Note(now, "info", evil("note")))
    store.keep_shadow(SITE, Shadow("rule-based", "mpc", now, 3, 1.0, 2.0, None, evil("shadow")))
    store.keep_forecast_scores(SITE, [ForecastScore(
        evil("forecast"), evil("method"), 1.0, 1.0, 1.0, "kW", 1, now)])
    store.keep_prices(SITE, name("series"), b"{}", now)
    held = Override(power_kw=5.0, since=now, until=now + timedelta(hours=1), who=name("holdwho"),
                    why=name("holdwhy"))
    settings = msgspec.structs.replace(coordinator_site.SETTINGS, override=held)
    store.save_settings(SITE, settings, name("setwho"), now)
    store.keep_training(TrainingRun(evil("run"), evil("learns"), now, (0.0, 1.0), (1.0, 1.0),
                                    (1.0, 2.0), None, 0.5, evil("runwords")))
    store.keep_evaluation(Evaluation(evil("version"), evil("run"), now, 1, {evil("policy"): 1.0},
                                     {}, 0, False, evil("verdict")))
    store.keep_deployment(Deployment(evil("device"), evil("deployed"), now, evil("by"),
                                     evil("previous")))
    return coordinator_site.desk_of(engine, store, evil("fleetlabel"))


def _history(engine: Engine, directory: Path) -> EmbeddedChannelHistory:
    history = EmbeddedChannelHistory(directory, engine.devices.ids, budget_bytes=2**26)
    time_s = np.arange(START.timestamp() - HOURS * 3600, START.timestamp(), 60.0)
    values = spread(engine.devices, 1, _past(time_s)).astype(np.float32)
    history.backfill(iter([Past(time_s, values, hours_only=False)]), lambda reached: None)
    history.settle()
    return history


def _raise_alarms(engine: Engine, fleet: HostileFleet, clock: ManualClock) -> None:
    """Cells too hot by more and more; what people may say of an alarm is said of one each."""
    for number, pack in enumerate(fleet.told):
        cells = engine.topology.children(engine.topology.index(pack.element))
        fleet.columns["temperature_c"][cells] = 45.0 + 4.0 * number + np.arange(4)
    for _ in range(20):
        clock.advance(1.0)
        engine.tick()
    for number in range(3):
        fleet.change(number, heard_at=clock.now())
    journal, who = engine.desk.journal, name("who")
    mild = [one.key for one in journal.instances() if one.is_open and one.severity < TRIP]
    acknowledged, shelved, suppressed, served, *_ = mild
    journal.comment(acknowledged, who, name("comment"))
    journal.acknowledge(acknowledged, who)
    journal.shelve(shelved, who, name("shelfreason"), clock.now() + timedelta(hours=1))
    journal.suppress(suppressed, who, name("suppressreason"))
    journal.out_of_service(served, who, name("servicereason"))
    engine.desk.audit(AuditEntry(clock.now(), evil("auditwho"), evil("auditaction"), "", "",
                                 evil("auditwhy"), evil("auditbefore"), evil("auditafter")))
    engine.tick()
