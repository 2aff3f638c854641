"""Images and masks in files, for tests of what people's files are like."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encoded(picture: Image.Image | NDArray[Any], encoding: str = "PNG", **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, encoding, **options)
    return file.getvalue()


def put(file: Path, content: bytes | Image.Image | NDArray[Any] | str) -> Path:
    """Writes a file, in the format of its name, and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        file.write_text(content)
    elif isinstance(content, bytes):
        file.write_bytes(content)
    else:
        kind = {".jpg": "JPEG", ".bmp": "BMP", ".tif": "TIFF", ".webp": "WEBP"}.get(file.suffix, "PNG")
        file.write_bytes(encoded(content, kind))
    return file


def photo(height: int = 24, width: int = 32, seed: int = 0) -> Image.Image:
    """Draws an image of large blocks, which JPEG keeps nearly as they are."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8)))
