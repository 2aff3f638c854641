"""Which split an image of a source is of: by its folder, or by lists of names."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.data.formats.annotation import Dropped, Picture
from pipeline.data.formats.files import Listing, normal, read_text

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

    def apply(self, pictures: Iterable[Picture]) -> tuple[list[Picture], list[Dropped]]:
        """Gives each picture the split of the list that names it: by its path, its file name or its stem.

        Returns:
          The pictures that one list has; and those that none or several have, and what is listed and not there.
        """
        splits_of: dict[str, list[str]] = defaultdict(list)
        for split, names in self.names.items():
            for name in dict.fromkeys(names):
                splits_of[name].append(split)
        kept, dropped, found = [], [], set()
        for picture in pictures:
            entry = next((name for name in _names_of(picture.name) if name in splits_of), None)
            splits = splits_of[entry] if entry is not None else []
            found.add(entry)
            if len(splits) == 1:
                kept.append(replace(picture, split=splits[0]))
            else:
                where = f"the lists of {' and '.join(splits)}" if splits else "no list of a split"
                dropped.append(Dropped(picture.name, f"it is in {where}"))
        missing = [name for name in splits_of if name not in found]
        dropped += [
            Dropped(name, f"{self.files[splits_of[name][0]].name} lists it, but there is no such image with a mask")
            for name in missing
        ]
        return kept, dropped


def read_lists(files: Mapping[str, Path]) -> SplitLists:
    """Reads lists of one image a line; of a line with several columns, such as image and mask, the first counts.

    Raises:
      DataError: A list cannot be read.
    """
    names = {
        split: tuple(filter(None, map(_listed_name, read_text(file).splitlines()))) for split, file in files.items()
    }
    return SplitLists(files, names)


def found_lists(listing: Listing) -> dict[str, Path]:
    """Returns the lists beside the images: text files called as a split is, such as `train.txt`."""
    lists = [file for file in listing.files if file.suffix == ".txt" and file.stem.lower() in SPLIT_WORDS]
    by_folder = {
        folder: [file for file in lists if file.parent == folder] for folder in {file.parent for file in lists}
    }
    # Those that stand together; the folder next to the root, where there are several.
    nearest = min(by_folder, key=lambda folder: (len(folder.parts), folder), default=None)
    return {file.stem: file for file in by_folder.get(nearest, [])} if nearest else {}


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
