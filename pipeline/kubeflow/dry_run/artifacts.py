"""Where the files of a pod are on this machine: artifacts in a directory for the object store, volumes, scratch.

A pod sees a volume at its mount path; a process of this machine cannot. So the path is replaced wherever a text names
it: in parameters, also inside JSON that is text itself, in environment variables and in arguments.
"""

import glob
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.config.kubeflow import REMOTE_SCHEMES
from trainer_module.errors import ConfigError

_START = r"(?:(?<![\w./~-])|(?<=\\[nt]))"
"""No path goes on before it; in a JSON text, an escaped new line or tab may stand there."""

_END = r"(?![\w.~-])"


class Mounts:
    """Which directory of this machine stands for which directory of a pod."""

    def __init__(self, directories: Mapping[str, Path]) -> None:
        """Constructs the mounts.

        Args:
          directories: Directory of this machine, fit as `check_directory` says, by the pod's path; the deepest of
            several that fit a text is taken.
        """
        self._directories = {path.rstrip("/"): str(directory) for path, directory in directories.items()}
        deepest_first = sorted(self._directories, key=len, reverse=True)
        names = "|".join(map(re.escape, deepest_first))
        self._pattern = re.compile(rf"{_START}({names}){_END}") if names else None

    def local(self, value: Any) -> Any:
        """Returns a text, list or struct with the pod's paths replaced by those of this machine."""
        if isinstance(value, dict):
            return {key: self.local(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.local(inner) for inner in value]
        if not isinstance(value, str) or self._pattern is None:
            return value
        return self._pattern.sub(lambda match: self._directories[match[1]], value)


def check_directory(directory: Path) -> None:
    """Checks that a directory's name stays what it is inside a JSON text.

    Raises:
      ConfigError: It does not.
    """
    if re.search(r'["\\\x00-\x1f]', str(directory)):
        raise ConfigError(
            f"the path {str(directory)!r} has a character that JSON escapes; choose another root with "
            "--pipeline-root DIR"
        )


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

    def remove_others(self, uri: str, run_ids: Collection[str], kept_uris: Iterable[str]) -> int:
        """Removes what other runs of a pipeline have uploaded, which is under `<uri>/<run>/<task>/<execution>/`.

        Args:
          uri: Of the pipeline's artifacts.
          run_ids: Runs whose objects stay.
          kept_uris: Artifacts whose objects stay, whatever run has made them.

        Returns:
          The number of runs that had something to be removed.
        """
        kept = {parent for kept_uri in kept_uris for parent in self.path(kept_uri).parents}
        removed = 0
        for run in sorted(self.path(uri).glob("*/")):
            old = [] if run.name in run_ids else [found for found in run.glob("*/*/") if found not in kept]
            for directory in old:
                shutil.rmtree(directory)
            removed += bool(old)
            for directory in [*run.glob("*/"), run]:
                if not any(directory.iterdir()):
                    directory.rmdir()
        return removed


def _files(path: Path) -> Iterator[Path]:
    """Yields a file itself, or every file below a directory."""
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
