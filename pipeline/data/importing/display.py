"""The report of an import, for people."""

from collections.abc import Iterable, Mapping
from typing import Final

from components.days import day_text
from pipeline.data.importing.report import ImportReport, Reason
from pipeline.terminal.streams import notify, say
from pipeline.terminal.tables import numbers_table, print_table

_SHOWN_VALUES: Final = 40
_SHOWN_NAMES: Final = 3


def print_report(report: ImportReport, *, is_new: bool) -> None:
    """Prints what came in and what became of it; in one line where nothing was new."""
    if not is_new:
        say(f"nothing new: {report.name} {report.version} has all {report.kept:,} of its pictures")
        return
    say(f"{report.found:,} files of {report.format_name}, imported as {report.name} {report.version}")
    former = report.kept - report.read
    kept = f"{report.kept:,} kept ({report.read:,} read, {former:,} from the version before)"
    days = " to ".join(dict.fromkeys(map(day_text, (report.first_date, report.last_date))))
    say(f"{kept}, {report.dropped:,} dropped; of {days}")
    say("")
    print_numbers("split", "examples", report.splits)
    say("")
    _print_classes(report)
    say("")
    print_numbers("in the masks", "pixels", dict(list(report.met.items())[:_SHOWN_VALUES]))
    if len(report.met) > _SHOWN_VALUES:
        say(f"and {len(report.met) - _SHOWN_VALUES} more")
    print_reasons("done", report.done)
    print_reasons("dropped", report.reasons)
    for what, names in (("changed", report.changed), ("removed", report.removed)):
        if names:
            say("")
            say(f"{what}: {len(names):,}, such as {', '.join(names[:_SHOWN_NAMES])}")
    print_notes(report.notes)


def print_numbers(first: str, second: str, numbers: Mapping[str, int]) -> None:
    """Prints what is counted, and how often it is there."""
    table = numbers_table(first, second)
    for name, number in numbers.items():
        table.add_row(name, f"{number:,}")
    print_table(table)


def print_reasons(title: str, reasons: Iterable[Reason]) -> None:
    """Prints reasons with the number of files and the names of some; nothing where there is none."""
    table = numbers_table(title, "files")
    table.add_column("such as")
    for reason in reasons:
        table.add_row(reason.text, f"{reason.count:,}", ", ".join(reason.names))
    if table.row_count:
        say("")
        print_table(table)


def print_notes(notes: Iterable[str]) -> None:
    """Prints what the user should know, on standard error."""
    for note in notes:
        notify(f"notice: {note}", "yellow")


def _print_classes(report: ImportReport) -> None:
    table = numbers_table("class", "value", "pixels", "share", "images")
    for one in report.classes:
        table.add_row(one.name, str(one.value), f"{one.pixels:,}", f"{one.share:.2%}", f"{one.images:,}")
    if report.not_labelled_pixels:
        table.add_row("(not labelled)", "", f"{report.not_labelled_pixels:,}", "", "")
    print_table(table)
