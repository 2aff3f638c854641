"""Image files by the names that annotations have for them."""

from collections import defaultdict
from pathlib import Path, PurePosixPath

from pipeline.data.formats.files import Listing, normal
from pipeline.data.formats.images import IMAGE_SUFFIXES
from pipeline.data.formats.objects import shown_names
from pipeline.data.formats.splits import split_of_folders


class ImageFinder:
    """Finds the image files that annotations name, wherever they are below the root."""

    def __init__(self, listing: Listing, folder: str | None) -> None:
        self._listing = listing
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        within = listing.root / folder if folder else listing.root
        for file in listing.files:
            if file.suffix.lower() in IMAGE_SUFFIXES and file.is_relative_to(within):
                self._by_name[normal(file.name)].append(file)

    @property
    def root(self) -> Path:
        return self._listing.root

    def name(self, image: Path) -> str:
        """Returns the image's path below the root, with `/`."""
        return self._listing.name(image)

    @property
    def names(self) -> frozenset[str]:
        """All images that can be found, by their paths below the root."""
        return frozenset(self.name(file) for files in self._by_name.values() for file in files)

    def find(self, named: str, beside: Path, split: str | None) -> Path:
        """Returns the image that annotations name.

        Of several with the name, it is the one whose folders agree with those named, then the one in the folder of the
        annotations, then the one in the folder of the split.

        Raises:
          FileNotFoundError: There is none, or more than one; the message says which.
        """
        wanted = PurePosixPath(normal(named.replace("\\", "/")))
        found = self._by_name.get(wanted.name, [])
        if not found:
            raise FileNotFoundError("there is no such image below the source")
        parts = tuple(part for part in wanted.parts if part not in ("..", ".", "/"))
        choices = [file for file in found if tuple(map(normal, file.parts[-len(parts) :])) == parts] or found
        for narrower in (
            [file for file in choices if file.parent == beside],
            [file for file in choices if split and split_of_folders(self.name(file).split("/")[:-1]) == split],
        ):
            choices = narrower or choices
        if len(choices) > 1:
            names = shown_names([self.name(file) for file in choices])
            raise FileNotFoundError(f"several images have this name: {names}")
        return choices[0]
