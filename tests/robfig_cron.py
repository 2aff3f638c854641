"""Reads cron as the server's scheduler does (robfig/cron v1): seconds first, the day of the week may be left out."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES = {
    4: {name: number for number, name in enumerate(_MONTHS, start=1)},
    5: {name: number for number, name in enumerate(_WEEKDAYS)},
}
_BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def parse(line: str) -> list[set[int]]:
    """Returns the values of second, minute, hour, day, month and day of the week.

    Raises:
      ValueError: The scheduler does not read the line.
    """
    fields = line.split()
    if len(fields) == 5:
        fields.append("*")
    if len(fields) != len(_BOUNDS):
        raise ValueError(f"Expected 5 or 6 fields, found {len(fields)}: {line}")
    return [_field(index, text) for index, text in enumerate(fields)]


def _field(index: int, text: str) -> set[int]:
    least, greatest = _BOUNDS[index]
    names = _NAMES.get(index, {})
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first in ("*", "?"):
            start, end = least, greatest
        else:
            start = names[first.lower()] if first.lower() in names else int(first)
            end = (names[last.lower()] if last.lower() in names else int(last)) if dash else start
            end = greatest if slash and not dash else end
        if start < least:
            raise ValueError(f"Beginning of range ({start}) below minimum ({least}): {part}")
        if end > greatest:
            raise ValueError(f"End of range ({end}) above maximum ({greatest}): {part}")
        if start > end:
            raise ValueError(f"Beginning of range ({start}) beyond end of range ({end}): {part}")
        values |= set(range(start, end + 1, int(step or 1)))
    return values
