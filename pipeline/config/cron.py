"""Cron as people write it: five fields, checked, and written for each scheduler that is to follow it.

Kubeflow Pipelines reads a sixth field, seconds, in front (https://pkg.go.dev/github.com/robfig/cron@v1.2.0), systemd
reads calendar events (https://www.freedesktop.org/software/systemd/man/systemd.time.html). What the schedulers read
differently, or what people mean differently, is refused here with what to write instead.
"""

import re
from dataclasses import dataclass
from typing import Final

_ANY: Final = "*"
_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAYS_OF_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART: Final = re.compile(r"(\*|(?P<start>\w+)(-(?P<end>\w+))?)(/(?P<step>\d+))?", re.ASCII)


@dataclass(frozen=True)
class _Field:
    """What one of the five fields may hold."""

    name: str
    least: int
    greatest: int
    names: tuple[str, ...] = ()

    @property
    def every(self) -> frozenset[int]:
        return self.every_nth(1)

    def every_nth(self, step: int) -> frozenset[int]:
        return frozenset(range(self.least, self.greatest + 1, step))

    def parse(self, text: str) -> frozenset[int]:
        """Returns the values that a field's text stands for.

        Raises:
          ValueError: It is no text of this field.
        """
        return frozenset().union(*(self._parse_part(part, text) for part in text.split(",")))

    def _parse_part(self, part: str, text: str) -> frozenset[int]:
        match, extension = _PART.fullmatch(part), _extension(part)
        if match is None or extension:
            advice = extension or f"expected a number, a-b, a,b, */n or a-b/n, not {part!r}"
            raise ValueError(f"the {self.name} is {text!r}: {advice}")
        step = int(match["step"] or 1)
        if match["start"] is None:
            values = range(self.least, self.greatest + 1)
        elif match["end"] is None and match["step"] is not None:
            raise ValueError(
                f"the {self.name} is {text!r}: schedulers read {part!r} differently; "
                f"write {match['start']}-{self.greatest}/{step}"
            )
        else:
            start = self._number(match["start"], text)
            end = start if match["end"] is None else self._number(match["end"], text)
            if start > end:
                raise ValueError(f"the {self.name} is {text!r}: the range {part!r} ends before it starts; split it")
            values = range(start, end + 1)
        if not 1 <= step <= self.greatest:
            raise ValueError(f"the {self.name} is {text!r}: a step is 1 to {self.greatest}")
        return frozenset(values[::step])

    def _number(self, text: str, field: str) -> int:
        if text.lower() in self.names:
            return self.least + self.names.index(text.lower())
        if self is _WEEKDAY and text == "7":
            raise ValueError(
                f"the {self.name} is {field!r}: Kubeflow Pipelines knows the days 0 (Sunday) to 6; write Sunday as 0"
            )
        if not text.isdecimal() or not self.least <= int(text) <= self.greatest:
            named = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
            allowed = f"{self.least} to {self.greatest}{named}"
            raise ValueError(f"the {self.name} is {field!r}: expected {allowed}, not {text!r}")
        return int(text)


_MINUTE: Final = _Field("minute", 0, 59)
_HOUR: Final = _Field("hour", 0, 23)
_DAY: Final = _Field("day of the month", 1, 31)
_MONTH: Final = _Field("month", 1, 12, _MONTHS)
_WEEKDAY: Final = _Field("day of the week", 0, 6, _WEEKDAYS)
_FIELDS: Final = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


@dataclass(frozen=True)
class Cron:
    """A checked cron line: the values that each field stands for."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Reads the five fields of Unix cron: minute, hour, day of month, month, day of week.

        Raises:
          ValueError: It is no such line, its meaning depends on who reads it, or it never fires.

        Example:
          >>> Cron.parse("0 3 * * mon").text
          '0 3 * * 1'
        """
        fields = text.split()
        _check_shape(text, fields)
        cron = cls(*(field.parse(part) for field, part in zip(_FIELDS, fields, strict=True)))
        if cron.days != _DAY.every and cron.weekdays != _WEEKDAY.every:
            raise ValueError(
                f"{text!r} restricts both the day of the month and the day of the week: cron fires when either fits, "
                "which is seldom meant; leave one of them *"
            )
        if min(cron.days) > max(_DAYS_OF_MONTHS[month - 1] for month in cron.months):
            raise ValueError(f"{text!r} never fires: no month of {fields[3]!r} has the day {fields[2]!r}")
        return cron

    @property
    def text(self) -> str:
        """The five fields in their shortest plain form, as every cron reads them."""
        return " ".join(_field_text(field, values) for field, values in zip(_FIELDS, self._values, strict=True))

    @property
    def kubeflow(self) -> str:
        """The six fields of Kubeflow Pipelines: at second 0."""
        return f"0 {self.text}"

    def calendar_event(self, time_zone: str) -> str:
        """Returns the calendar event of systemd, in a time zone."""
        days = ",".join(_WEEKDAYS[day].capitalize() for day in sorted(self.weekdays))
        weekdays = "" if self.weekdays == _WEEKDAY.every else f"{days} "
        minute, hour, day, month, _ = self.text.replace("-", "..").split()
        return f"{weekdays}*-{month}-{day} {hour}:{minute}:00 {time_zone}"

    @property
    def cautions(self) -> list[str]:
        """What is clear to every scheduler but may surprise people: one sentence each."""
        cautions = []
        shortest = min(28 if month == 2 else _DAYS_OF_MONTHS[month - 1] for month in self.months)
        if min(self.days) > shortest:
            cautions.append(f"a month without the day {min(self.days)} gets no run")
        for field, values in zip(_FIELDS, self._values, strict=True):
            first, *rest = sorted(values)
            step = rest[0] - first if rest else 1
            if len(field.every) % step and values == field.every_nth(step):
                cautions.append(
                    f"{field.name}: steps of {step} start again at {first} in each round, so the last one is shorter"
                )
        return cautions

    @property
    def _values(self) -> tuple[frozenset[int], ...]:
        return (self.minutes, self.hours, self.days, self.months, self.weekdays)


def _check_shape(text: str, fields: list[str]) -> None:
    """Refuses what is no five fields, and says what to write."""
    expected = "expected the five fields minute, hour, day of month, month, day of week, such as '0 3 * * 1'"
    if not fields:
        raise ValueError(f"{expected}; got nothing")
    if fields[0].startswith("@"):
        macro = _MACROS.get(text.strip().lower())
        raise ValueError(f"{expected}; {f'for {text!r} write {macro!r}' if macro else f'got {text!r}'}")
    if len(fields) == 6:
        raise ValueError(
            f"{expected}; got six: {text!r}. Six fields are those of Kubeflow Pipelines, seconds first, which petseg "
            f"adds by itself: write {' '.join(fields[1:])!r}"
        )
    if len(fields) != 5:
        raise ValueError(f"{expected}; got {len(fields)}: {text!r}")


def _extension(part: str) -> str | None:
    """Returns what to do about an extension that only some schedulers know; None when the part has none."""
    if part == "?":
        return "for ? write *"
    if re.fullmatch(r"\d*[lw]+\d*|.*#.*", part, re.IGNORECASE | re.ASCII):
        return "L, W and # are extensions that Kubeflow Pipelines does not know"
    if re.match(r"[hr]\b", part, re.IGNORECASE | re.ASCII):
        return "H and R pick a time at random, and no two schedulers would pick the same"
    return None


def _field_text(field: _Field, values: frozenset[int]) -> str:
    """Writes the values with ranges where three or more follow each other."""
    if values == field.every:
        return _ANY
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
