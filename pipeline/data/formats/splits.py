"""Which split an image of a source is of: by its folder, or by lists of names."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.data.formats.annotation import Dropped, Picture
from pipeline.data.formats.files import normal, read_text

SPLIT_WORDS: Final = frozenset(
    {"train", "training", "trn", "val", "valid", "validation", "dev", "eval", "test", "testing"}
)
"""What splits are called in folders and lists, in lower case."""


def split_of_folders(parts: Iterable[str]) -> str | None:
    """Returns the split that the first folder called by one is called by.

    Example:
      >>> split_of_folders(("images", "Val", "street"))
      'val'
    """
    return next(filter(None, map(split_word, parts)), None)


def split_word(text: str) -> str | None:
    """Returns the split that a folder or file is called by, alone or with a year; None for all else.

    Example:
      >>> split_word("instances_val2017"), split_word("trainer")
      ('val', None)
    """
    words = "".join(letter if letter.isalpha() else " " for letter in text.lower()).split()
    return next((word for word in words if word in SPLIT_WORDS), None)


@dataclass(frozen=True)
class SplitLists:
    """Lists of the images of each split."""

    files: Mapping[str, Path]
    """Split name to list."""

    names: Mapping[str, tuple[str, ...]]
    """Split name to what its list has, in its order."""

    def apply(self, pictures: Iterable[Picture], dropped: Iterable[Dropped]) -> tuple[list[Picture], list[Dropped]]:
        """Gives each picture the split of the list that names it: by its path, its file name or its stem.

        Args:
          pictures: Those that have a mask.
          dropped: What was dropped for another reason, and so is not missing.

        Returns:
          The pictures that one list has; and those that none or several have, and what is listed and not there.
        """
        splits_of: dict[str, list[str]] = defaultdict(list)
        for split, names in self.names.items():
            for name in dict.fromkeys(names):
                splits_of[name].append(split)

        def listed(name: str) -> str | None:
            return next((each for each in _names_of(name) if each in splits_of), None)

        kept: list[Picture] = []
        left_out: list[Dropped] = []
        found = {listed(each.name) for each in dropped}
        for picture in pictures:
            entry = listed(picture.name)
            found.add(entry)
            splits = splits_of[entry] if entry is not None else []
            if len(splits) == 1:
                kept.append(replace(picture, split=splits[0]))
            else:
                where = f"the lists of {' and '.join(splits)}" if splits else "no list of a split"
                left_out.append(Dropped(picture.name, f"it is in {where}"))
        for name in [name for name in splits_of if name not in found]:
            file = self.files[splits_of[name][0]]
            left_out.append(Dropped(name, f"{file.name} lists it, but there is no such image"))
        return kept, left_out


def read_lists(files: Mapping[str, Path]) -> SplitLists:
    """Reads lists of one image a line; of a line with several columns, such as image and mask, the first counts.

    Raises:
      DataError: A list cannot be read.
    """
    names = {
        split: tuple(filter(None, map(_listed_name, read_text(file).splitlines()))) for split, file in files.items()
    }
    return SplitLists(files, names)


def found_lists(files: Iterable[Path]) -> dict[str, Path]:
    """Returns the lists among the files of a source: texts called as a split is, such as `train.txt`.

    Of several folders with such texts, it is the one nearest to the root.
    """
    lists = [file for file in files if file.suffix == ".txt" and file.stem.lower() in SPLIT_WORDS]
    folder = min((file.parent for file in lists), key=lambda parent: (len(parent.parts), parent), default=None)
    return {file.stem: file for file in lists if file.parent == folder}


def _listed_name(line: str) -> str:
    """Returns the image that a line names; spaces part columns only where each is a path with an extension."""
    text = normal(line.strip())
    columns = text.split("\t") if "\t" in text else text.split(",")
    if len(columns) == 1:
        words = text.split(" ")
        columns = words if len(words) > 1 and all(PurePosixPath(word).suffix for word in words) else [text]
    return columns[0].strip().lstrip("/").removeprefix("./")


def _names_of(name: str) -> Iterable[str]:
    """Returns what a list may call an image: its path or the end of it, with its extension or without."""
    path = PurePosixPath(normal(name))
    for whole in (path, path.with_suffix("")):
        for start in range(len(path.parts)):
            yield "/".join(whole.parts[start:])
