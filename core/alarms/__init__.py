"""Alarms: which limits are passed (`book`), what people do about them (`journal`), and how many
lines that makes (`groups`, `rates`). The states are data (`states`), the rules a profile."""

from core.alarms.book import Alarm, AlarmBook, AlarmState, no_alarms

__all__ = ["Alarm", "AlarmBook", "AlarmState", "no_alarms"]
