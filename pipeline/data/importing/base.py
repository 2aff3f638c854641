"""The version before, as far as a new one may be built on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pipeline.data.formats.annotation import Annotations
from pipeline.data.importing.classes import extends
from pipeline.data.importing.entries import Entry
from pipeline.data.importing.request import ImportRequest
from pipeline.data.importing.versions import FIRST_VERSION, ImportedVersion, ImportRecord, Version
from trainer_module.errors import ConfigError

_OPTIONS = {"split": "--split", "group": "--group", "stratify": "--stratify", "split_by": "--split-by",
            "masks_drawn_on": "--masks-drawn-on", "date_from": "--date-from"}  # fmt: skip
"""Setting to the option that it is set by."""


@dataclass(frozen=True)
class Base:
    """What there is already."""

    version: ImportedVersion | None
    """None where there is no version yet."""

    entries: tuple[Entry, ...] = ()
    """Of the version; none where it may not be built on."""

    differences: tuple[str, ...] = ()
    """Why it may not: what is another now."""

    @classmethod
    def of(cls, request: ImportRequest, version: ImportedVersion | None, annotations: Annotations) -> Self:
        """Compares what is asked with what made the version before.

        Raises:
          ConfigError: They contradict each other, and which is meant only the user can say.
          DataError: The list of the version's files is damaged.
        """
        if version is None:
            return cls(None)
        record = version.record
        if request.version is not None and request.version <= version.version:
            raise ConfigError(
                f"--version {request.version}: {request.name} has the version {version.version}; give a later one"
            )
        if request.mode == "update" and request.folder not in record.folders:
            raise ConfigError(
                f"{request.name} {version.version} was made of {record.folders[0]!r}, not of {request.folder!r}. Add "
                "its pictures with --add; where the folder has moved, or is to take the other's place, give --replace."
            )
        differences = tuple(_differences(request, record, annotations))
        if not differences:
            return cls(version, tuple(version.entries()))
        if request.mode == "add" or (request.mode == "update" and len(record.folders) > 1):
            raise ConfigError(
                f"{request.name} {version.version}, to which pictures of {request.folder!r} would be added, has other "
                f"{' and '.join(differences)}: give the same, or import under another --name."
            )
        return cls(version, (), differences)

    def next_version(self, request: ImportRequest, *, is_compatible: bool) -> Version:
        """Returns the version to make.

        Args:
          request: May ask for one.
          is_compatible: Whether what the version before means by its masks still holds.
        """
        if request.version is not None:
            return request.version
        if self.version is None:
            return FIRST_VERSION
        former = self.version.version
        if is_compatible and not self.differences:
            return Version(former.major, former.minor + 1, 0)
        return Version(former.major + 1, 0, 0)


def _differences(request: ImportRequest, record: ImportRecord, annotations: Annotations) -> Iterator[str]:
    """Names what is another than when the version was made, so that what it has would be another now."""
    if request.mode != "add":
        settings = request.settings()
        yield from (option for name, option in _OPTIONS.items() if settings[name] != record.settings.get(name))
    if annotations.card.class_names and not extends(annotations.card, record.card):
        yield f"classes ({', '.join(record.card.class_names)})"
    if {name for picture in annotations.pictures for name in picture.labels} - {*record.labels}:
        yield f"labels ({', '.join(record.labels) or 'none'})"
