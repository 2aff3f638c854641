"""A directory that stands for the object store, and how the launcher copies to and from it."""

import glob
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.kubeflow.config import REMOTE_SCHEMES
from trainer_module.errors import ConfigError


class ObjectStore:
    """Objects by key; as in every object store, there are no directories and nothing is empty but a file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, uri: str) -> Path:
        """Returns where an artifact's files are, if it has any.

        Raises:
          ConfigError: The URI is of no object store.
        """
        scheme, separator, key = uri.partition("://")
        if not separator or scheme not in REMOTE_SCHEMES or ".." in key.split("/"):
            raise ConfigError(f"{uri!r} is no URI of an object store: expected one of {', '.join(REMOTE_SCHEMES)}")
        return self._directory / scheme / key

    def download(self, uri: str, target: Path) -> int:
        """Copies all objects whose key starts with the artifact's, siblings with a longer name included.

        Launchers up to 2.16 list by prefix: with `…/model` comes `…/model_run`, beside it.

        Returns:
          The number of files of the artifact itself.
        """
        source = self.path(uri)
        count = 0
        for sibling in sorted(source.parent.glob(f"{glob.escape(source.name)}*")) if source.parent.is_dir() else []:
            for file in _files(sibling):
                copied = target.with_name(sibling.name) / file.relative_to(sibling)
                _copy(file, copied)
                count += sibling == source
        return count

    def upload(self, local: Path, uri: str) -> int:
        """Copies the files of an output, its empty directories left out; returns their number."""
        target = self.path(uri)
        count = 0
        for file in _files(local):
            _copy(file, target / file.relative_to(local))
            count += 1
        return count


def _files(path: Path) -> Iterator[Path]:
    """Yields a file itself, or every file below a directory."""
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
