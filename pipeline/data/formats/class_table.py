"""Which value or colour of a mask is which class, and the files in which labelling tools say it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from components.dataset_card import Color
from pipeline.data.formats.files import read_text
from pipeline.data.formats.options import MAX_CLASSES, SourceOptions
from trainer_module.errors import ConfigError, DataError

NOT_LABELLED_NAMES: Final = frozenset(
    {
        "void",
        "ignore",
        "ignored",
        "__ignore__",
        "unlabeled",
        "unlabelled",
        "not labeled",
        "not labelled",
        "dontcare",
        "don't care",
    }
)
"""What the field calls pixels that are not labelled, in lower case."""

TABLE_FILES: Final = (
    "labelmap.txt",
    "label_colors.txt",
    "label_colours.txt",
    "class_dict.csv",
    "class_dict.txt",
    "classes.csv",
    "_classes.csv",
)
"""Where labelling tools and data sets keep the table, beside the masks or above them; in lower case."""

_THREE: Final = r"(?P<red>\d{1,3})[\s,;]+(?P<green>\d{1,3})[\s,;]+(?P<blue>\d{1,3})"
_NAME: Final = r"(?P<name>[^,;:=\t]+)"
_LINES: Final = tuple(
    map(
        re.compile,
        (
            rf"{_THREE}[\s,;]+(?P<name>\S.*)",
            rf"{_NAME}[,;:=\t]\s*{_THREE}\s*(?::.*)?",
            rf"{_NAME}[,;:=\t]\s*#(?P<color>[0-9a-fA-F]{{6}})",
            rf"{_NAME}[,;:=\t]\s*(?P<value>\d{{1,5}})",
            r"(?P<value>\d{1,5})[\s,;:=]+(?P<name>[^\d\s].*)",
        ),
    )
)
_HEADER: Final = re.compile(r"[^\d]+")

Key = int | Color
"""What a mask has for a class: a value from 0 to 65535, or red, green and blue."""


def shown_key(key: Key) -> str:
    """Returns a value as a decimal number, a colour as in HTML.

    Example:
      >>> shown_key(7), shown_key((224, 160, 32))
      ('7', '#e0a020')
    """
    return str(key) if isinstance(key, int) else "#{:02x}{:02x}{:02x}".format(*key)


@dataclass(frozen=True)
class ClassTable:
    """The classes of masks, and what the masks have for each."""

    names: tuple[str, ...]
    keys: tuple[Key, ...]
    """Of each class: all values, or all colours."""

    ignored: tuple[Key, ...] = ()
    """What means "not labelled"."""

    drawn: tuple[Color, ...] = ()
    """The colour in which each class is drawn, where the masks have values."""

    @property
    def has_colors(self) -> bool:
        return not isinstance(self.keys[0], int)

    @property
    def written(self) -> tuple[int, ...]:
        """The mask value of each class in the data set: its value in the source where all fit, else its position."""
        if all(isinstance(key, int) and key <= 255 for key in self.keys):
            return tuple(key for key in self.keys if isinstance(key, int))
        return tuple(range(len(self.keys)))

    @property
    def not_labelled(self) -> int:
        """The mask value of pixels that are not labelled: 255, or the largest that no class has."""
        return max(set(range(256)) - set(self.written))

    @property
    def codes(self) -> Mapping[Key, int]:
        """What is in the source to what is written."""
        return dict(zip(self.keys, self.written, strict=True)) | dict.fromkeys(self.ignored, self.not_labelled)


def declared_table(options: SourceOptions, found: Path | None) -> ClassTable | None:
    """Returns the classes that the user declares, or that a file beside the masks does; None where nothing does.

    Args:
      options: What the user says; it goes before the file.
      found: A file of `TABLE_FILES` in the source.

    Raises:
      ConfigError: What is to be ignored is no value, colour or class; or nothing remains.
      DataError: The file cannot be read.
    """
    file = options.class_table or (None if options.class_names else found)
    if file is not None:
        return table_of(read_table(file), options.ignore, str(file))
    if not options.class_names:
        return None
    values = options.mask_values or tuple(range(len(options.class_names)))
    return table_of(dict(zip(options.class_names, values, strict=True)), options.ignore, "--class")


def table_of(entries: Mapping[str, Key], ignore: Iterable[str] | None, where: str) -> ClassTable:
    """Parts the classes from what is not labelled.

    Args:
      entries: Name to value or colour, in the order of the class ids.
      ignore: Names, values or colours that mean "not labelled"; None: those with a name of `NOT_LABELLED_NAMES`.
      where: What to call the entries in messages.

    Example:
      >>> table = table_of({"road": (128, 64, 128), "void": (0, 0, 0)}, None, "label_colors.txt")
      >>> table.names, table.ignored, table.not_labelled
      (('road',), ((0, 0, 0),), 255)
    """
    by_name = {name.lower(): key for name, key in entries.items()}
    if ignore is None:
        ignored = [key for name, key in by_name.items() if name in NOT_LABELLED_NAMES]
    else:
        ignored = [by_name[word.lower()] if word.lower() in by_name else parsed_key(word, where) for word in ignore]
    if len({isinstance(key, int) for key in (*entries.values(), *ignored)}) > 1:
        raise ConfigError(
            f"--ignore {' '.join(ignore or ())}: {where} and --ignore have to be all values or all colours."
        )
    classes = {name: key for name, key in entries.items() if key not in ignored}
    if not classes or len(classes) > MAX_CLASSES:
        raise ConfigError(f"{where}: {len(classes)} classes remain; there may be 1 to {MAX_CLASSES}.")
    return ClassTable(tuple(classes), tuple(classes.values()), tuple(dict.fromkeys(ignored)))


def parsed_key(word: str, where: str) -> Key:
    """Reads a value or a colour as `shown_key` writes it.

    Raises:
      ConfigError: It is neither.
    """
    if re.fullmatch(r"\d{1,5}", word) and int(word) < 2**16:
        return int(word)
    if re.fullmatch(r"#[0-9a-fA-F]{6}", word):
        return _color(word[1:])
    raise ConfigError(
        f"--ignore {word}: {where} has no class of that name, and it is no value (255) and no colour (#rrggbb)."
    )


def read_table(file: Path) -> dict[str, Key]:
    """Reads a file that says which value or colour each class has; one class a line.

    It takes `name:r,g,b:parts:actions` (the labelmap.txt of CVAT and Datumaro), `r g b name` (the label_colors.txt of
    CamVid), `name,r,g,b` (class_dict.csv), `name,#rrggbb`, `name,value` and `value name`; a first line without digits
    is a heading, and what begins with `#` a comment.

    Returns:
      Name to value or colour, in the order of the file.

    Raises:
      DataError: A line is none of these, or something is there twice.
    """
    entries: dict[str, Key] = {}
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#") or (not entries and _HEADER.fullmatch(text)):
            continue
        try:
            name, key = _parsed_line(text)
        except ValueError as error:
            raise DataError(
                f"{file}, line {number}: {line!r} is not the name of a class and its value or colour, such as "
                "'road,128,64,128', 'road,#804080' or 'road,7'."
            ) from error
        if name in entries or key in entries.values():
            raise DataError(f"{file}, line {number}: the class {name!r} or its {shown_key(key)} is there twice.")
        entries[name] = key
    if not entries:
        raise DataError(f"{file}: it names no class.")
    if len({isinstance(key, int) for key in entries.values()}) > 1:
        raise DataError(f"{file}: some classes have a value and some a colour; one or the other is needed.")
    return entries


def _parsed_line(text: str) -> tuple[str, Key]:
    match = next(filter(None, (line.fullmatch(text) for line in _LINES)), None)
    if match is None:
        raise ValueError(text)
    parts = match.groupdict()
    key: Key
    if "value" in parts:
        key = int(parts["value"])
    elif "color" in parts:
        key = _color(parts["color"])
    else:
        key = int(parts["red"]), int(parts["green"]), int(parts["blue"])
    if (key >= 2**16) if isinstance(key, int) else (max(key) > 255):
        raise ValueError(text)
    return parts["name"].strip(), key


def _color(hexadecimal: str) -> Color:
    red, green, blue = bytes.fromhex(hexadecimal)
    return red, green, blue
