"""Resolves the configuration of a run: defaults < preset < data set and encoder < TOML file < `--set key=value`.

The later wins.

- A data set that says what its masks mean gives the defaults of `data.class_names` and the like
  (`pipeline.config.dataset_defaults`); what is resolved is written out, and needs the data set no more.
- A network on an encoder gives the default of `data.normalization` (`pipeline.config.encoder_defaults`).
- A file may start from a preset by naming it at its top: `preset = "pets"`.
- `--set` takes a TOML value, or plain text where that is no TOML: `--set trainer.epochs=3`, `--set data.data_dir=../x`,
  `--set 'evaluation.slices=[]'`, `--set evaluation.thresholds.iou_border.min=0.3`.
- TOML has no null: the text `none` unsets a setting that may be unset, as in `--set push.destination=none`.
- A table of names of one's own (`data.splits`, `evaluation.thresholds`, `evaluation.change_thresholds`) in a file or
  preset states all its entries, so it replaces the table of the layer below; `--set data.splits.train=…` changes the
  one entry, and `--set 'evaluation.change_thresholds={}'` empties the table. `data.hash_split` replaces the
  `data.splits` of a preset or data set.
- Relative paths are relative to the working directory, wherever they are written.

pydantic-settings does not do this: it merges all tables of its sources, so that none could be replaced, it does not
know which of them gave the value that an error is about, and an unknown key has no nearest one.
"""

import re
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

import tomli_w
from pydantic import ValidationError

from pipeline.config.dataset_defaults import dataset_defaults
from pipeline.config.encoder_defaults import encoder_defaults
from pipeline.config.schema import Config
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError
from trainer_module.section import Section

DEFAULT_PRESET: Final = "demo"
"""What the commands start from when they are given neither a preset nor a file."""

NONE: Final = "none"

KeyPath = tuple[str, ...]

_SPLITS: Final[KeyPath] = ("data", "splits")


class _Assignment(NamedTuple):
    """One value that a layer gives to one setting."""

    path: KeyPath
    value: Any
    source: str


class Resolution(NamedTuple):
    """A configuration, and what is missing for a run of it."""

    config: Config
    unknown_classes: str
    """Why nothing says what the masks mean, so that the classes are those of the pets; empty where something does."""


def preset_names() -> list[str]:
    """Returns the names of the presets that come with petseg."""
    files = resources.files("pipeline").joinpath("presets").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def preset_value(preset: str, setting: str) -> Any:
    """Returns what a preset gives to a setting; None where it says nothing of it, or there is no such preset."""
    if preset not in preset_names():
        return None
    values = {".".join(assignment.path): assignment.value for assignment in _preset_assignments(preset)}
    return values.get(setting)


def load_config(
    *,
    preset: str | None = None,
    file: Path | None = None,
    overrides: Sequence[str] = (),
    pipeline_root: str | None = None,
) -> Config:
    """Resolves the layers to a configuration.

    Args:
      preset: Name of the preset to start from.
      file: TOML file on top of it, or on top of the preset that it names itself.
      overrides: `key=value` texts of the command line, the last layer.
      pipeline_root: Overrides `pipeline.root`, whatever the layers say.

    Raises:
      ConfigError: A layer cannot be read, names an unknown setting, or gives a value that cannot be used; or nothing
        says what the masks of the data set mean.
      DataError: What the data set says of itself cannot be used.

    Example:
      >>> config = load_config(preset="blog", overrides=["trainer.epochs=20"])
      >>> config.trainer.epochs, config.trainer.batch_size
      (20, 64)
    """
    resolution = resolve_layers(preset=preset, file=file, overrides=overrides, pipeline_root=pipeline_root)
    if resolution.unknown_classes:
        raise ConfigError(resolution.unknown_classes)
    return resolution.config


def resolve_layers(
    *,
    preset: str | None = None,
    file: Path | None = None,
    overrides: Sequence[str] = (),
    pipeline_root: str | None = None,
) -> Resolution:
    """Does the same as `load_config` also for a data set whose classes nobody says, which can be looked at."""
    given: list[_Assignment] = []
    if file is not None:
        table = _read_file(file)
        named = table.pop("preset", None)
        if preset is not None and named is not None:
            raise ConfigError(f"{file} starts from the preset {named!r}, so --preset {preset} cannot be given too")
        preset = preset or named
        given += _flatten(table, str(file))
    for override in overrides:
        given += _override_assignments(override)
    if pipeline_root is not None:
        given.append(_Assignment(("pipeline", "root"), pipeline_root, "--pipeline-root"))
    below = []
    if preset is not None:
        below = [_Assignment(("preset",), preset, f"preset {preset}"), *_preset_assignments(preset)]
    settings = _table_of([*below, *given])
    of_dataset = dataset_defaults(settings, _table_of(given))
    said = [
        _Assignment(path, value, each.source)
        for each in (of_dataset, encoder_defaults(settings))
        for path, value in each.values.items()
    ]
    if _table_of(given).get("data", {}).get("hash_split") is not None:
        below = [assignment for assignment in below if assignment.path[:2] != _SPLITS]
    return Resolution(_validated([*below, *said, *given]), of_dataset.unknown_classes)


def config_toml(config: Config) -> str:
    """Writes a configuration as TOML that `load_config` reads back to an equal one."""
    table = config.model_dump(exclude={"preset"} if config.preset is None else None)
    return tomli_w.dumps(_without_none(table))


def setting_keys(section: type[Section] = Config, prefix: str = "") -> list[str]:
    """Returns the dotted keys of all settings."""
    keys = []
    for name, field in section.model_fields.items():
        inner = _section_of(field.annotation)
        keys += setting_keys(inner, f"{prefix}{name}.") if inner else [prefix + name]
    return keys


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {str(file)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the configuration file {str(file)!r} is no UTF-8 text: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the configuration file {str(file)!r} is no valid TOML: {error}") from error


def _preset_assignments(name: object) -> list[_Assignment]:
    names = preset_names()
    if name not in names:
        hint = f"did you mean {nearest(name, names)!r}? " if isinstance(name, str) else ""
        raise ConfigError(f"there is no preset {name!r}; {hint}There are {', '.join(names)}")
    text = resources.files("pipeline").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    return list(_flatten(tomllib.loads(text), f"preset {name}"))


def _override_assignments(override: str) -> list[_Assignment]:
    key, equals, text = override.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    source = f"--set {override}"
    if not equals or not all(path):
        raise ConfigError(f"--set expects key=value, as in --set trainer.epochs=3; got {override!r}")
    if path == ("preset",):
        raise ConfigError(f"{source}: start from a preset with --preset, or with preset = … in a configuration file")
    annotation = _annotation_at(path)
    value = _parse_value(text.strip(), annotation)
    if _section_of(annotation) and isinstance(value, dict):
        return list(_flatten(value, source, path))
    return [_Assignment(path, value, source)]


def _flatten(table: Mapping[str, Any], source: str, prefix: KeyPath = ()) -> Iterator[_Assignment]:
    """Yields one assignment a setting; a table that is the value of one setting stays whole."""
    for key, value in table.items():
        path = (*prefix, key)
        annotation = _annotation_at(path)
        if isinstance(value, dict) and value and (annotation is None or _section_of(annotation)):
            yield from _flatten(value, source, path)
        else:
            yield _Assignment(path, value, source)


def _parse_value(text: str, annotation: Any) -> Any:
    """Reads the text as TOML; as plain text where it is none, or where the setting wants text and got another type."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    alternatives = _alternatives(annotation)
    wants_text = str in alternatives and type(value) not in alternatives and not isinstance(value, dict)
    return text if wants_text else value


def _table_of(assignments: Sequence[_Assignment]) -> dict[str, Any]:
    """Returns what assignments come to; the later one wins."""
    table: dict[str, Any] = {}
    for path, value, _ in assignments:
        _assign(table, path, value)
    with_none: dict[str, Any] = _with_none(table, Config)
    return with_none


def _validated(assignments: Sequence[_Assignment]) -> Config:
    try:
        return Config.model_validate(_table_of(assignments))
    except ValidationError as error:
        messages = [_message(details, assignments) for details in error.errors()]
    if len(messages) == 1:
        raise ConfigError(messages[0])
    raise ConfigError("\n  ".join([f"{len(messages)} settings cannot be used:", *messages]))


def _assign(table: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Sets one entry of nested tables; entries of `data.splits` and the like start from the defaults."""
    for depth, part in enumerate(path[:-1], start=1):
        inner = table.get(part)
        if not isinstance(inner, dict):
            inner = _default_table(path[:depth])
        table[part] = dict(inner)
        table = table[part]
    table[path[-1]] = value


def _default_table(path: KeyPath) -> dict[str, Any]:
    """Returns the default of a setting whose value is a table, else an empty table."""
    default: Any = Config()
    is_entry = False
    for part in path:
        is_entry = isinstance(default, dict)
        default = default.get(part) if is_entry else getattr(default, part, None)
    if isinstance(default, Section) and (is_entry or _section_of(_annotation_at(path)) is None):
        return default.model_dump()  # a section that may be left out
    return default if isinstance(default, dict) else {}


def _message(details: Any, assignments: Sequence[_Assignment]) -> str:
    """Writes one of pydantic's errors as: setting = what came (where): what is allowed."""
    location = tuple(part for part in details["loc"] if part != "[key]")
    path = tuple(str(part) for part in location)
    origin = next(
        (a for a in reversed(assignments) if a.path == path[: len(a.path)] or a.path[: len(path)] == path), None
    )
    where = f" ({origin.source})" if origin else ""
    if details["type"] == "extra_forbidden":
        path = origin.path if origin and len(origin.path) > len(path) else path
        key = ".".join(path)
        return f"there is no setting {key!r}{where}; did you mean {nearest(key, _keys_near(path))!r}?"
    allowed = details["msg"].removeprefix("Value error, ").replace("tuple", "list")
    allowed = re.sub(r"^(Input|String|List) should", "it should", allowed)
    if details["type"] == "literal_error" and isinstance(details["input"], str):
        names = re.findall(r"'([^']*)'", details["ctx"]["expected"])
        allowed += f"; did you mean {nearest(details['input'], names)!r}?" if names else ""
    if details["type"] == "value_error":
        return ": ".join(filter(None, [".".join(path), allowed]))
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    return f"{key} = {details['input']!r}{where}: {allowed}"


def _keys_near(path: KeyPath) -> list[str]:
    """Returns all valid keys, and those beside a path that is inside the value of one setting."""
    inner = map(_section_of, _alternatives(_annotation_at(path[:-1])))
    section = next((each for each in inner if each is not None), None)
    return setting_keys() + (setting_keys(section, ".".join([*path[:-1], ""])) if section and path[1:] else [])


def _annotation_at(path: KeyPath) -> Any:
    """Returns the type of the setting at a path, or of an entry inside it; None where there is none."""
    annotation: Any = Config
    for part in path:
        section = _section_of(annotation)
        if section is not None:
            field = section.model_fields.get(part)
            annotation = field.annotation if field else None
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            return None
    return annotation


def _section_of(annotation: Any) -> type[Section] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """Returns the members of a union type; another type is its own only member."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _with_none(value: Any, annotation: Any) -> Any:
    """Replaces the text `none` by None wherever the setting may be unset."""
    if value == NONE and types.NoneType in _alternatives(annotation):
        return None
    section = _section_of(annotation)
    if isinstance(value, dict) and section is not None:
        fields = section.model_fields
        return {k: _with_none(v, fields[k].annotation if k in fields else None) for k, v in value.items()}
    if isinstance(value, dict) and get_origin(annotation) is dict:
        return {k: _with_none(v, get_args(annotation)[1]) for k, v in value.items()}
    if isinstance(value, list) and get_origin(annotation) is tuple:
        return [_with_none(item, get_args(annotation)[0]) for item in value]
    return value


def _without_none(value: Any) -> Any:
    """Writes None as the text `none`, which TOML can hold."""
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return NONE if value is None else value
