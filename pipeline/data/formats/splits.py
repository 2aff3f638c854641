"""Which split an image of a source is of: by its folder, or by lists of names."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.data.formats.annotation import Dropped, Picture
from pipeline.data.formats.files import normal, read_text
from pipeline.data.formats.options import SourceOptions
from trainer_module.errors import DataError

SPLIT_WORDS: Final = frozenset(
    {"train", "training", "trn", "val", "valid", "validation", "dev", "eval", "test", "testing"}
)
"""What splits are called in folders and lists, in lower case."""

_TRAIN: Final = "train"
_BOTH: Final = "trainval"


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

    lines: Mapping[str, tuple[str, ...]]
    """Split name to what its list has, in its order."""

    def apply(self, pictures: Iterable[Picture], dropped: Iterable[Dropped]) -> tuple[list[Picture], list[Dropped]]:
        """Gives each picture the split of the list that names it: by its path, its file name or its stem.

        Args:
          pictures: Those that have a mask.
          dropped: What was dropped for another reason, and so is not missing.

        Returns:
          The pictures that one list has; and those that none or several have, and what is listed and not there.
        """
        pictures = list(pictures)
        names = [*(picture.name for picture in pictures), *(each.name for each in dropped)]
        known = {each for name in names for each in _names_of(name)}
        splits_of: dict[str, list[str]] = defaultdict(list)
        left_out: list[Dropped] = []
        for split, lines in self.lines.items():
            for line in lines:
                name = next((name for name in _listed_names(line) if name in known), None)
                if name is None:
                    left_out.append(Dropped(line, f"{self.files[split].name} lists it, but there is no such image"))
                elif split not in splits_of[name]:
                    splits_of[name].append(split)
        kept: list[Picture] = []
        for picture in pictures:
            splits = next((splits_of[name] for name in _names_of(picture.name) if name in splits_of), [])
            if len(splits) == 1:
                kept.append(replace(picture, split=splits[0]))
            else:
                where = f"the lists of {' and '.join(splits)}" if splits else "no list of a split"
                left_out.append(Dropped(picture.name, f"it is in {where}"))
        return kept, left_out


def split_by_lists(
    pictures: list[Picture], dropped: list[Dropped], files: Iterable[Path], options: SourceOptions
) -> tuple[list[Picture], list[Dropped], list[str]]:
    """Gives pictures the splits of the lists that the user names, or of those among the files of the source.

    Returns:
      The pictures; what the lists leave out; and sentences for the user. Without lists nothing changes, nor with lists
      in the source that name none of the pictures: they are of something else.

    Raises:
      DataError: A list cannot be read, or those of the user name none of the pictures.
    """
    lists = read_lists(options.split_lists or found_lists(files))
    if not lists.files or not pictures:
        return pictures, [], []
    names = ", ".join(file.name for file in lists.files.values())
    kept, left_out = lists.apply(pictures, dropped)
    if kept:
        return kept, left_out, [f"The splits are those of {names}."]
    if options.split_lists:
        raise DataError(
            f"{names}: no image with a mask is in exactly one of the lists. A line names an image by its path below "
            f"the source, its name or its stem, such as {pictures[0].name}."
        )
    return pictures, [], [f"{names} list no image that has a mask: they do not say the splits."]


def read_lists(files: Mapping[str, Path]) -> SplitLists:
    """Reads lists of one image a line; of a line with several columns, such as image and mask, the first counts.

    Raises:
      DataError: A list cannot be read.
    """
    lines = {
        split: tuple(dict.fromkeys(line.strip() for line in read_text(file).splitlines() if line.strip()))
        for split, file in files.items()
    }
    return SplitLists(files, lines)


def found_lists(files: Iterable[Path]) -> dict[str, Path]:
    """Returns the lists among the files of a source: texts called as a split is, such as `train.txt`.

    Of several folders with such texts, it is the one nearest to the root. `trainval.txt` is the list of training where
    there is no other.
    """
    lists = [file for file in files if file.suffix == ".txt" and file.stem.lower() in (*SPLIT_WORDS, _BOTH)]
    folder = min((file.parent for file in lists), key=lambda parent: (len(parent.parts), parent), default=None)
    found = {file.stem: file for file in lists if file.parent == folder}
    both = found.pop(_BOTH, None)
    return found if both is None or _TRAIN in found else {_TRAIN: both, **found}


def _listed_names(line: str) -> Iterable[str]:
    """Returns what a line may mean: all of it, for names have spaces, or the first of its columns."""
    text = normal(line)
    for name in (text, *(text.split(separator)[0] for separator in ("\t", ",", " "))):
        yield name.strip().removeprefix("./").lstrip("/")


def _names_of(name: str) -> Iterable[str]:
    """Returns what a list may call an image: its path or the end of it, with its extension or without."""
    path = PurePosixPath(normal(name))
    for whole in (path, path.with_suffix("")):
        for start in range(len(path.parts)):
            yield "/".join(whole.parts[start:])
