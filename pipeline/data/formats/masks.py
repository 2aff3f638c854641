"""Mask files to the mask values of the data set, as a table of classes says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.dataset_card import DatasetCard
from pipeline.data.formats.annotation import MaskPixels, MaskRefusedError
from pipeline.data.formats.class_table import ClassTable, Key, shown_key
from pipeline.data.formats.mask_decoding import decode_mask

_LARGEST_VALUE: Final = 255
_SHOWN: Final = 8


@dataclass(frozen=True)
class MaskReading:
    """How the mask files of one source are read."""

    table: ClassTable | None = None
    """None keeps the values as they are, up to 255."""

    palette_colors: bool = False
    """Whether the colours of a palette count, not its indices."""

    ignores_unknown: bool = False
    snaps_lossy: bool = False

    def card(self) -> DatasetCard:
        """Returns what the data set says of its masks; an empty card where no classes are declared."""
        if self.table is None:
            return DatasetCard()
        return DatasetCard(
            class_names=self.table.names,
            mask_values=self.table.written,
            ignore_values=(self.table.not_labelled,) if self.table.ignored or self.ignores_unknown else (),
            class_colors=tuple(key for key in self.table.keys if not isinstance(key, int)) or self.table.drawn,
        )

    def pixels(self, encoded: bytes) -> MaskPixels:
        """Decodes a mask and gives each pixel the value it has in the data set.

        RGB whose three channels are equal is gray where no colours are declared, and gray is such RGB where they are.

        Raises:
          MaskRefusedError: It is no image, or its values are not exact, too large, or of no class.
        """
        decoded = decode_mask(encoded, palette_colors=self.palette_colors)
        if decoded.lossy_format is not None and not self.snaps_lossy:
            raise MaskRefusedError(
                f"is compressed as {decoded.lossy_format} does for photos, which invents values between the classes': "
                "save the masks as PNG from what they were drawn with, or let each pixel go to the nearest class "
                "(--jpeg-masks snap)"
            )
        has_colors = self.table is not None and self.table.has_colors
        pixels = _as_colors(decoded.pixels) if has_colors else _as_values(decoded.pixels)
        packed, counts, positions, lengths = _runs(_packed(pixels))
        keys: list[Key] = [_unpacked(int(key)) if has_colors else int(key) for key in packed]
        codes, is_snapped = self._codes(keys, decoded.lossy_format is not None)
        return MaskPixels(
            values=np.repeat(codes[positions], lengths).reshape(pixels.shape[:2]),
            met={shown_key(key): int(count) for key, count in zip(keys, counts, strict=True)},
            snapped=int(counts[is_snapped].sum()),
            was_turned=decoded.was_turned,
        )

    def _codes(self, keys: list[Key], is_lossy: bool) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Returns the value to write for each that the mask has, uint8 [keys], and which of them are snapped."""
        if self.table is None:
            return _kept(keys, is_lossy), np.zeros(len(keys), bool)
        codes = self.table.codes
        is_unknown = np.array([key not in codes for key in keys])
        if is_lossy:
            return np.array([codes[key] for key in _nearest(keys, list(codes))], np.uint8), is_unknown
        if is_unknown.any() and not self.ignores_unknown:
            raise MaskRefusedError(_unknown([key for key in keys if key not in codes], self.table))
        written = [codes.get(key, self.table.not_labelled) for key in keys]
        return np.array(written, np.uint8), np.zeros(len(keys), bool)


@dataclass(frozen=True)
class MaskFile:
    """A mask in a file of its own."""

    path: Path
    reading: MaskReading

    def read(self, size: tuple[int, int]) -> MaskPixels:
        """Makes the mask, of the size it has; see `MaskSource`."""
        return self.reading.pixels(self.path.read_bytes())


def _kept(keys: list[Key], is_lossy: bool) -> NDArray[np.uint8]:
    """Returns values as they are, where nothing says what they mean."""
    if is_lossy:
        raise MaskRefusedError(
            "cannot be snapped to the nearest class: declare the classes (--class NAME=VALUE, or --class-table)"
        )
    if outside := [key for key in keys if isinstance(key, int) and not 0 <= key <= _LARGEST_VALUE]:
        raise MaskRefusedError(
            f"has the values {_listed(outside)}, and the data set holds those from 0 to {_LARGEST_VALUE}: declare the "
            "classes (--class NAME=VALUE), and each gets a smaller one"
        )
    return np.array(keys, np.uint8)


def _unknown(unknown: list[Key], table: ClassTable) -> str:
    """Says what a mask has that no class has."""
    names = dict(zip(table.keys, table.names, strict=True)) | dict.fromkeys(table.ignored, "not labelled")
    (nearest,) = _nearest(unknown[:1], list(names))
    what = "colour" if table.has_colors else "value"
    return (
        f"has the {what}{'s' if len(unknown) > 1 else ''} {_listed(unknown)}, which no class has (nearest to "
        f"{shown_key(unknown[0])} is {names[nearest]!r}, {shown_key(nearest)}): declare a class for each, mend the "
        f"mask, or let them be not labelled (--ignore '{shown_key(unknown[0])}', or --unknown ignore for all)"
    )


def _as_values(pixels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns values [height, width] of a mask that may be gray in three equal channels."""
    if pixels.ndim == 2:
        return pixels
    if (pixels != pixels[..., :1]).any():
        colors = [_unpacked(int(key)) for key in np.unique(_packed(pixels))]
        raise MaskRefusedError(
            f"has colours ({_listed(colors)}), and nothing says which class each is: give a file with a line such as "
            "'road,128,64,128' for each class (--class-table)"
        )
    return pixels[..., 0]


def _as_colors(pixels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns colours [height, width, 3] of a mask that may be gray."""
    if pixels.ndim == 3:
        return pixels
    if pixels.max(initial=0) > _LARGEST_VALUE:
        raise MaskRefusedError("is gray of 16 bits, and the classes are declared by colours")
    return np.stack([pixels] * 3, axis=-1)


def _packed(raw: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns one number a pixel, of values [height, width] or colours [height, width, 3]."""
    if raw.ndim == 2:
        return raw.ravel()
    red, green, blue = np.moveaxis(raw, -1, 0)
    return (red << 16 | green << 8 | blue).ravel()


def _unpacked(packed: int) -> Key:
    return packed >> 16, packed >> 8 & 255, packed & 255


def _runs(
    flat: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Counts what is in a mask by its runs of equal pixels, of which there are few.

    Returns:
      The distinct values; how many pixels each has; and, of each run, the position of its value, and its length.
    """
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(starts, append=flat.size)
    values, positions = np.unique(flat[starts], return_inverse=True)
    return values, np.bincount(positions, weights=lengths).astype(np.int64), positions, lengths


def _nearest(keys: Sequence[Key], choices: Sequence[Key]) -> list[Key]:
    """Returns of each value or colour the choice at the least Euclidean distance; the first of several."""
    have, want = (np.array(each, float).reshape(len(each), -1) for each in (keys, choices))
    distances = np.linalg.norm(have[:, np.newaxis] - want, axis=-1)
    return [choices[position] for position in distances.argmin(axis=-1)]


def _listed(keys: Sequence[Key]) -> str:
    return ", ".join(map(shown_key, keys[:_SHOWN])) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
