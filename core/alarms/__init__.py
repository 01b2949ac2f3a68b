"""Alarms: which limits are passed (`book`), what people do about them (`journal`), and how many
lines that makes (`groups`, `rates`). The states are data (`states`), the rules a profile."""

from core.alarms.book import CONDITIONS, Alarm, AlarmBook, AlarmState, NoAlarms

__all__ = ["CONDITIONS", "Alarm", "AlarmBook", "AlarmState", "NoAlarms"]
