"""What crosses to the physics: round trips, and everything impossible refused in words."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RequestError
from core.twin.tasks import (
    CalibrationResult,
    CalibrationTask,
    ForecastResult,
    ForecastTask,
    Progress,
    Task,
    Usage,
    WindowPack,
    WindowResult,
    WindowTask,
    check_task,
    column,
    failure,
    floats,
    new_id,
    packed,
    read_task,
    read_told,
)


def pack(name: str = "pack_1", points: int = 4, **more: object) -> WindowPack:
    told = {"capacity_ah": 10.0, "soc": 0.5, "current_a": column([1.0] * points),
            "voltage_v": column([3.7] * points), **more}
    return WindowPack(pack=name, **told)  # type: ignore[arg-type]


def window(*packs: WindowPack, **more: object) -> WindowTask:
    told = {"time_s": 1.7e9, **more}
    return WindowTask(id=new_id(), chemistry="NMC",
                      packs=packs or (pack(),), **told)  # type: ignore[arg-type]


def calibration(**more: object) -> CalibrationTask:
    told = {"capacity_ah": 10.0, "soc": 0.5, "step_s": 10.0, "current_a": column([1.0] * 4),
            "voltage_v": column([3.7] * 4), **more}
    return CalibrationTask(id=new_id(), pack="pack_1", chemistry="NMC",
                           **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", [window(), ForecastTask(id=new_id(), chemistry="LFP"),
                                  calibration()])
def test_a_task_crosses_whole(task: Task) -> None:
    assert read_task(packed(task)) == task


@given(st.lists(st.none() | st.floats(-1e6, 1e6, width=32), max_size=20))
@settings(max_examples=50, deadline=None)
def test_columns_keep_numbers_and_what_is_missing(values: list[float | None]) -> None:
    found = floats(column(values))
    assert [None if math.isnan(value) else value for value in found.tolist()] == values


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_foreign_bytes_are_no_task_and_no_result(payload: bytes) -> None:
    for read in (read_task, read_told):
        with pytest.raises(RequestError):
            read(payload)


@pytest.mark.parametrize(("task", "words"), [
    (window(pack(), pack()), "each pack once"),
    (window(pack("a"), pack("b", points=5)), "one length"),
    (window(pack(current_a=b"123")), "float32"),
    (window(pack(current_a=column([1.0]), voltage_v=column([3.7]))), "2 to"),
    (window(pack(current_a=column([1.0, math.inf, 1.0, 1.0]))), "infinite"),
    (window(pack(start_v=math.nan)), "not finite"),
    (window(pack(plan_a=math.inf)), "not finite"),
    (window(time_s=math.nan), "not finite"),
    (calibration(fitted=("colour",)), "what is fitted"),
    (calibration(fitted=()), "what is fitted"),
    (calibration(voltage_v=column([3.7])), "same number of points"),
    (ForecastTask(id=new_id(), chemistry="NMC", parameters={"colour": 1.0}), "no calibrated"),
    (ForecastTask(id=new_id(), chemistry="NMC", parameters={"contact_ohm": -1.0}), "no possible"),
    (ForecastTask(id=new_id(), chemistry="NMC", parameters={"negative_active": math.nan}),
     "no possible"),
])
def test_what_is_impossible_is_told(task: Task, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        check_task(task)


@pytest.mark.parametrize("change", [
    {"chemistry": "PbA"}, {"days": 0}, {"jump": 0}, {"id": "x"}, {"colour": 1},
    {"usage": {"depth": 2.0}}, {"usage": {"temperature_c": 90.0}},
])
def test_what_the_schema_lacks_is_refused(change: dict[str, object]) -> None:
    told = msgspec.to_builtins(ForecastTask(id=new_id(), chemistry="NMC", usage=Usage()))
    with pytest.raises(RequestError):
        read_task(msgspec.msgpack.encode({**told, **change}))


@pytest.mark.parametrize(("task", "kind"), [
    (window(), WindowResult), (ForecastTask(id=new_id(), chemistry="LCO"), ForecastResult),
    (calibration(), CalibrationResult)])
def test_a_failure_is_a_result_with_words(task: Task, kind: type) -> None:
    told = failure(task, "no sun")
    assert isinstance(told, kind)
    assert (told.id, told.failed) == (task.id, "no sun")
    assert read_told(packed(told)) == told


def test_progress_is_no_result() -> None:
    told = read_told(packed(Progress(id="0" * 32, share=0.5, words="half")))
    assert isinstance(told, Progress)


def test_a_column_is_little_endian_float32() -> None:
    assert column([1.0, None]) == np.array([1.0, np.nan], dtype="<f4").tobytes()
