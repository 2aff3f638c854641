"""Images and masks as people keep them, drawn: a folder of two classes, Pascal VOC's layout, and masks in colours.

Each picture shows some rectangles on a dull ground; the colour of a rectangle is that of its class, so that a network
learns it in an epoch or two.
"""

import colorsys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOID = 255
COLORS = {"water": (30, 60, 200), "forest": (20, 120, 30), "road": (120, 120, 120), "roof": (200, 60, 40)}


def drawings(
    count: int, num_classes: int, *, size: int = 64, seed: int = 0
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yields images, [size, size, 3], and masks of class ids, [size, size]; class 0 is the ground."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        image = generator.integers(90, 130, (size, size, 3), dtype=np.uint8)
        mask = np.zeros((size, size), np.uint8)
        for shape in range(2):
            class_id = 1 + (number * 2 + shape) % (num_classes - 1)
            top, left = generator.integers(0, size // 2, 2)
            height, width = generator.integers(size // 3, size // 2, 2)
            area = np.s_[top : top + height, left : left + width]
            color = np.array(colorsys.hsv_to_rgb(class_id / num_classes, 0.9, 0.9)) * 255
            noise = generator.integers(-12, 13, (*mask[area].shape, 3))
            image[area] = np.clip(color + noise, 0, 255).astype(np.uint8)
            mask[area] = class_id
        yield image, mask


def two_classes(root: Path, count: int = 60) -> Path:
    """Writes `images/*.jpg` and black and white `masks/*.png`, 0 and 255."""
    images, masks = _folders(root, "images", "masks")
    for number, (image, mask) in enumerate(drawings(count, 2)):
        Image.fromarray(image).save(images / f"field {number:03}.jpg", quality=95)
        Image.fromarray(mask * VOID).save(masks / f"field {number:03}.png")
    return root


def pascal_voc(root: Path, count: int = 84) -> Path:
    """Writes Pascal VOC's layout: masks with its palette, outlines of void, and lists of names."""
    images, masks, lists = _folders(root, "JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
    names = [f"2007_{number:06}" for number in range(count)]
    for name, (image, mask) in zip(names, drawings(count, len(VOC_CLASSES)), strict=True):
        Image.fromarray(image).save(images / f"{name}.jpg", quality=95)
        palette = Image.fromarray(_outlined(mask)).convert("P")
        palette.putpalette(voc_palette())
        palette.save(masks / f"{name}.png")
    train = names[: count * 3 // 4]
    (lists / "train.txt").write_text("\n".join(train) + "\n")
    (lists / "val.txt").write_text("\n".join(names[len(train) :]) + "\n")
    return root


def color_coded(root: Path, count: int = 60) -> Path:
    """Writes `images/*.png` and `masks/*_mask.png` in colours, with a `labelmap.txt`."""
    images, masks = _folders(root, "images", "masks")
    table = np.array([(0, 0, 0), *COLORS.values()], np.uint8)
    for number, (image, mask) in enumerate(drawings(count, len(table))):
        Image.fromarray(image).save(images / f"tile_{number:03}.png")
        Image.fromarray(table[mask]).save(masks / f"tile_{number:03}_mask.png")
    lines = [f"{name}:{','.join(map(str, color))}::" for name, color in {"ground": (0, 0, 0), **COLORS}.items()]
    (root / "labelmap.txt").write_text("\n".join(["# label:color_rgb:parts:actions", *lines, ""]))
    return root


def voc_palette() -> list[int]:
    """Returns the 256 colours of Pascal VOC: the index's bits, spread from the highest bits of the channels down."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)[:, ::-1]
    channels = [sum(bits[:, 3 * step + channel].astype(int) << (7 - step) for step in range(2)) for channel in range(3)]
    for channel in range(2):
        channels[channel] = channels[channel] + (bits[:, 6 + channel].astype(int) << 5)
    return np.stack(channels, axis=1).reshape(-1).tolist()


def _outlined(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    outlined = mask.copy()
    padded = np.pad(mask, 1, mode="edge")
    for down, across in ((0, 1), (2, 1), (1, 0), (1, 2)):
        shifted = padded[down : down + mask.shape[0], across : across + mask.shape[1]]
        outlined[shifted != mask] = VOID
    return outlined


def _folders(root: Path, *names: str) -> list[Path]:
    folders = [root / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
    return folders
