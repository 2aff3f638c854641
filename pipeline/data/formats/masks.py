"""Mask files to mask values: gray of any depth, palettes and colours."""

import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from components.dataset_card import DatasetCard
from pipeline.data.formats.annotation import MaskPixels, MaskRefusedError
from pipeline.data.formats.class_table import ClassTable, Key, shown_key
from pipeline.data.formats.images import refuse_too_large
from trainer_module.encoded_images import PNG_DEPTH_AND_COLOR_AT, UPRIGHT, ImageRefusedError

MASK_SUFFIXES: Final = frozenset({".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg", ".webp"})
"""Of files that are meant to be masks, those that are refused included; in lower case."""

_LARGEST_VALUE: Final = 255
_OPAQUE: Final = 255
_SHOWN: Final = 8
_ORIENTATION_TAG: Final = 0x0112
_TIFF_LOSSY: Final = ("jpeg", "tiff_jpeg", "webp")
_READ_MODES: Final = ("1", "L", "I", "I;16", "I;16B", "I;16L", "P", "RGB")


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

        Gray of 1, 2 or 4 bits has the values 0 to 1, 3 or 15; RGB whose three channels are equal is gray where no
        colours are declared; opaque alpha is dropped.

        Raises:
          MaskRefusedError: It is no image, or its values are not exact, too large, or of no class.
        """
        raw, is_lossy, was_turned = self._decoded(encoded)
        wants_colors = self.table is not None and self.table.has_colors
        if raw.ndim == 3 and not wants_colors:
            if (raw != raw[..., :1]).any():
                raise MaskRefusedError(
                    f"has colours ({_listed(_distinct_colors(raw))}), and nothing says which class each is: give a "
                    "class table, a file with a line such as 'road,128,64,128' for each class"
                )
            raw = raw[..., 0]
        if raw.ndim == 2 and wants_colors:
            if raw.max(initial=0) > _LARGEST_VALUE:
                raise MaskRefusedError("is gray of 16 bits, and the classes are declared by colours")
            raw = np.stack([raw] * 3, axis=-1)
        keys, counts, inverse, lengths = _runs(_packed(raw))
        shown = [_unpacked(int(key)) if raw.ndim == 3 else int(key) for key in keys]
        met = {shown_key(key): int(count) for key, count in zip(shown, counts, strict=True)}
        codes, is_snapped = self._codes(shown, is_lossy)
        return MaskPixels(
            values=np.repeat(codes[inverse], lengths).reshape(raw.shape[:2]),
            met=met,
            snapped=int(counts[is_snapped].sum()),
            was_turned=was_turned,
        )

    def _codes(self, keys: list[Key], is_lossy: bool) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Returns the value to write for each that the mask has, uint8 [keys], and which of them are of no class."""
        known = np.zeros(len(keys), bool)
        if self.table is None:
            if is_lossy:
                raise MaskRefusedError("cannot be snapped to the nearest class: declare the classes' values or colours")
            if large := [key for key in keys if isinstance(key, int) and key > _LARGEST_VALUE]:
                raise MaskRefusedError(
                    f"has the values {_listed(large)}, of which the data set can hold those up to {_LARGEST_VALUE}: "
                    "declare class_names and mask_values, and each gets a smaller one"
                )
            return np.array(keys, np.uint8), known
        codes = self.table.codes
        unknown = [key for key in keys if key not in codes]
        if not unknown:
            return np.array([codes[key] for key in keys], np.uint8), known
        if is_lossy:
            written = [codes[_nearest(key, codes)] for key in keys]
        elif self.ignores_unknown:
            return np.array([codes.get(key, self.table.not_labelled) for key in keys], np.uint8), known
        else:
            raise MaskRefusedError(self._unknown(unknown))
        return np.array(written, np.uint8), np.array([key not in codes for key in keys])

    def _unknown(self, unknown: list[Key]) -> str:
        if self.table is None:
            return ""
        names = dict(zip(self.table.keys, self.table.names, strict=True)) | dict.fromkeys(
            self.table.ignored, "not labelled"
        )
        nearest = _nearest(unknown[0], names)
        what = "value" if isinstance(unknown[0], int) else "colour"
        return (
            f"has the {what}{'s' if len(unknown) > 1 else ''} {_listed(unknown)}, which no class has (nearest to "
            f"{shown_key(unknown[0])} is {names[nearest]!r}, {shown_key(nearest)}): declare a class for each, mend the "
            "mask, or let them be not labelled (unknown = ignore)"
        )

    def _decoded(self, encoded: bytes) -> tuple[NDArray[np.int32], bool, bool]:
        """Returns values [height, width] or colours [height, width, 3], if they are lossy, and if they were turned."""
        try:
            with _opened(encoded) as image:
                refuse_too_large(image)
                if getattr(image, "n_frames", 1) > 1:
                    raise MaskRefusedError(f"is a {image.format} image with several frames or pages; a mask has one")
                is_lossy = self._checked_lossy(image, encoded)
                step = _stretch(image, encoded)
                if image.format == "TIFF":  # is turned when it is decoded
                    return self._raw(image) // step, is_lossy, False
                was_turned = image.getexif().get(_ORIENTATION_TAG, UPRIGHT) != UPRIGHT
                return self._raw(ImageOps.exif_transpose(image)) // step, is_lossy, was_turned
        except ImageRefusedError as error:
            raise MaskRefusedError(str(error)) from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            begins = f"begins with {encoded[:12]!r}" if encoded else "is empty"
            raise MaskRefusedError(f"is no readable image, or cut off or damaged: it {begins}") from error

    def _checked_lossy(self, image: Image.Image, encoded: bytes) -> bool:
        is_lossy = image.format in ("JPEG", "MPO", "JPEG2000", "AVIF")
        is_lossy |= image.format == "WEBP" and encoded[12:16] != b"VP8L"
        is_lossy |= image.format == "TIFF" and image.info.get("compression") in _TIFF_LOSSY
        if is_lossy and not self.snaps_lossy:
            raise MaskRefusedError(
                f"is compressed as {image.format} does for photos, which invents values between the classes': save "
                "the masks as PNG from what they were drawn with, or let each pixel go to the nearest class "
                "(jpeg_masks = snap)"
            )
        return is_lossy

    def _raw(self, image: Image.Image) -> NDArray[np.int32]:
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
            if np.asarray(image.getchannel("A")).min(initial=_OPAQUE) != _OPAQUE:
                raise MaskRefusedError(
                    "has transparent pixels, of which nobody can say what class they are: give them a value of their "
                    "own, and save the mask without alpha"
                )
            image = image.convert({"LA": "L", "PA": "P"}.get(image.mode, "RGB"))
        if image.mode == "P" and self.palette_colors:
            image = image.convert("RGB")
        if image.mode in _READ_MODES:
            return np.asarray(image).astype(np.int32)
        raise MaskRefusedError(
            f"has pixels of the mode {image.mode}, which are no values: save it as PNG of 8-bit gray"
        )


@dataclass(frozen=True)
class MaskFile:
    """A mask in a file of its own."""

    path: Path
    reading: MaskReading

    def read(self, size: tuple[int, int]) -> MaskPixels:
        """Makes the mask, of the size it has; see `MaskSource`."""
        return self.reading.pixels(self.path.read_bytes())


def undeclared_card(values: Iterable[int], ignore: Iterable[str] | None) -> tuple[DatasetCard, str]:
    """Makes classes of the values that the masks of a source have, where nothing declares them.

    0 and 255 alone, or 0 and 1, are background and foreground. Beside other values 255 is not labelled, as in most data
    sets of the field. Each other value is a class.

    Args:
      values: What was met in all masks, 0 to 255.
      ignore: Values that mean "not labelled"; None leaves it to the rule.

    Returns:
      The card, and a sentence that says what was assumed.

    Example:
      >>> undeclared_card([0, 2, 255], None)[0].mask_values
      (0, 2)
    """
    met = sorted(set(values))
    if ignore is None:
        ignored = [_LARGEST_VALUE] if _LARGEST_VALUE in met and not {0, _LARGEST_VALUE}.issuperset(met) else []
    else:
        ignored = [int(word) for word in ignore if word.isdigit()]
    classes = [value for value in met if value not in ignored]
    is_foreground = classes in ([0, 1], [0, _LARGEST_VALUE])
    names = ["background", "foreground"] if is_foreground else [f"class_{value}" for value in classes]
    card = DatasetCard(class_names=tuple(names), mask_values=tuple(classes), ignore_values=tuple(ignored))
    spelled = ", ".join(f"{value} {name}" for value, name in zip(classes, names, strict=True))
    return card, (
        f"Nothing declares the classes; they are the values met in the masks: {spelled}"
        f"{f'; {_listed(ignored)} is not labelled' if ignored else ''}."
    )


def _opened(encoded: bytes) -> Image.Image:
    with warnings.catch_warnings():
        # Which are too large is said here.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(encoded))


def _stretch(image: Image.Image, encoded: bytes) -> int:
    """Returns what Pillow multiplies gray of less than 8 bits a pixel with."""
    depth = 8
    if image.mode == "L" and image.format == "PNG":
        depth = encoded[PNG_DEPTH_AND_COLOR_AT]
    elif image.mode == "L" and isinstance(image, TiffImagePlugin.TiffImageFile):
        depth = min(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,)))
    return _LARGEST_VALUE // (2 ** min(depth, 8) - 1)


def _packed(raw: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns one number a pixel, of values [height, width] or colours [height, width, 3]."""
    return raw.ravel() if raw.ndim == 2 else (raw @ np.array([2**16, 2**8, 1], np.int32)).ravel()


def _unpacked(packed: int) -> Key:
    return packed >> 16, packed >> 8 & 255, packed & 255


def _runs(
    flat: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Counts what is in a mask by its runs of equal pixels, of which there are few.

    Returns:
      The distinct values; how many pixels each has; and, of each run, the position of its value, and its length.
    """
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1))
    lengths = np.diff(starts, append=flat.size)
    values, positions = np.unique(flat[starts], return_inverse=True)
    return values, np.bincount(positions, weights=lengths).astype(np.int64), positions, lengths


def _nearest(key: Key, choices: Iterable[Key]) -> Key:
    """Returns the value, or the colour, with the least Euclidean distance; the first of several."""
    of_kind = [choice for choice in choices if isinstance(choice, int) == isinstance(key, int)]
    distances = np.linalg.norm(np.atleast_2d(np.array(of_kind, float).T).T - np.array(key, float), axis=-1)
    return of_kind[int(distances.argmin())]


def _distinct_colors(raw: NDArray[np.int32]) -> list[Key]:
    return [_unpacked(int(key)) for key in np.unique(_packed(raw))]


def _listed(keys: Sequence[Key]) -> str:
    return ", ".join(map(shown_key, keys[:_SHOWN])) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
