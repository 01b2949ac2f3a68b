"""Files that people give, read in a child process: what they hold hurts nobody else."""

from __future__ import annotations

from core.twin.record_file import read_record
from core.twin.tasks import FileResult, FileTask, column
from services.twin.frames import Tell


def read_given(task: FileTask, tell: Tell) -> FileResult:
    """Raises RequestError that says what is wrong with it."""
    if task.kind == "csv":
        return _record(task)
    from services.twin.bpx_file import examine
    return examine(task, tell)


def _record(task: FileTask) -> FileResult:
    found = read_record(task.text)
    return FileResult(id=task.id, kind="csv", step_s=found.step_s,
                      current_a=column(found.current_a), voltage_v=column(found.voltage_v),
                      temperature_c=found.temperature_c, note=found.note)
