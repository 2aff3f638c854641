"""A configuration in TOML, with the reason for each value as a comment beside it."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import tomli_w

_WIDTH: Final = 120
_INDENT: Final = "    "


class Proposed(NamedTuple):
    """One setting that is proposed."""

    key: str
    """Dotted: `trainer.epochs`."""

    value: Any
    reason: str
    """A clause that starts in lower case and has no full stop."""


def config_text(heading: Iterable[str], settings: Sequence[Proposed]) -> str:
    """Writes settings, each with its reason: behind the value, or above it where the line would be too long.

    Args:
      heading: Paragraphs to begin with.
      settings: In the order in which they are written in their tables.

    Example:
      >>> print(config_text(["Of tiles."], [Proposed("trainer.epochs", 40, "50 steps an epoch")]), end="")
      # Of tiles.
      <BLANKLINE>
      [trainer]
      epochs = 40  # 50 steps an epoch
    """
    lines = [line for paragraph in heading for line in _comment(paragraph)]
    tables = dict.fromkeys(setting.key.rpartition(".")[0] for setting in settings)
    for table in tables:
        lines += ["", f"[{table}]"]
        for key, value, reason in settings:
            of_table, _, name = key.rpartition(".")
            if of_table == table:
                beside = f"{name} = {toml_value(value)}  # {reason}"
                lines += [beside] if len(beside) <= _WIDTH else [*_comment(reason), *_setting(name, value)]
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """Writes a value on one line.

    Example:
      >>> toml_value({"train": "train[:90%]", "weights": (1, 0.5), "flip": True})
      '{ train = "train[:90%]", weights = [1, 0.5], flip = true }'
    """
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")


def _setting(name: str, value: Any) -> list[str]:
    """Returns the lines of a setting; a list that is too long for one has as many entries a line as there is room."""
    line = f"{name} = {toml_value(value)}"
    if len(line) <= _WIDTH or not isinstance(value, list | tuple):
        return [line]
    lines = [_INDENT]
    for entry in map(toml_value, value):
        if len(lines[-1]) + len(entry) + 2 > _WIDTH and lines[-1] != _INDENT:
            lines.append(_INDENT)
        lines[-1] += f"{entry}, "
    return [f"{name} = [", *(line.rstrip() for line in lines), "]"]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)]
