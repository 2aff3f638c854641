"""Images as they come from the world: tiny, narrow, of any colour model; and files that are none."""

import io
from typing import Any

from PIL import Image

_COLOR = (200, 120, 40)


def odd_images() -> dict[str, bytes]:
    """Returns encoded images that a model must answer, by what they are."""
    return {
        "a PNG of 1×1 pixels": _encoded("RGB", (1, 1), "PNG"),
        "a PNG of 1×500 pixels": _encoded("RGB", (1, 500), "PNG"),
        "a JPEG of 3000×20 pixels": _encoded("RGB", (3000, 20), "JPEG"),
        "a grayscale JPEG": _encoded("L", (90, 60), "JPEG"),
        "a CMYK JPEG": _encoded("CMYK", (80, 60), "JPEG"),
        "an RGBA PNG": _encoded("RGBA", (60, 90), "PNG"),
        "a PNG of gray with alpha": _encoded("LA", (60, 90), "PNG"),
        "a PNG of 16 bits": _encoded("I;16", (60, 90), "PNG"),
        "a palette PNG": _encoded("P", (70, 50), "PNG"),
        "a progressive JPEG": _encoded("RGB", (80, 60), "JPEG", progressive=True),
        "a JPEG of a camera that was turned": _encoded("RGB", (80, 60), "JPEG", exif=_turned()),
    }


def unreadable_images() -> dict[str, bytes]:
    """Returns what a model must refuse, by what it is."""
    photo = _encoded("RGB", (90, 60), "JPEG")
    return {
        "an empty file": b"",
        "a text": b"no image",
        "half a JPEG": photo[: len(photo) // 2],
        "half a PNG": _encoded("RGB", (90, 60), "PNG")[:60],
        "a GIF": _encoded("RGB", (90, 60), "GIF"),
        "a BMP": _encoded("RGB", (90, 60), "BMP"),
    }


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _encoded(mode: str, size: tuple[int, int], encoding: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, _COLOR).convert(mode).save(file, encoding, **options)
    return file.getvalue()
