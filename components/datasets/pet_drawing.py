"""Pictures of cats and dogs with their trimaps, drawn from a seed and nothing else.

Animal and scene are painted at twice the size; halving it smooths the edges.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from components.datasets.pet_anatomy import POSES, Coat, coat_markings, dress, pose_pet
from components.datasets.pet_breeds import BREEDS
from components.datasets.pet_scenes import SCENES, paint_scene
from components.datasets.pet_shapes import Points, Shape, bounds, ellipse, placed, polygon, rotation

PET, BACKGROUND, BORDER = 1, 2, 3
BORDER_HALF_WIDTH = 0.0205  # as a share of the square root of the picture's area

Pixels = NDArray[np.floating]


@dataclass(frozen=True)
class PetAttributes:
    """What was drawn. `head_box` is ymin, xmin, ymax, xmax as shares of the picture's height and width."""

    breed: str
    species: str
    pose: str
    scene: str
    head_box: tuple[float, float, float, float]


def _paint_coat(coat: Coat, markings: list[Points], size: tuple[int, int]) -> Image.Image:
    """A picture full of fur, the markings where the animal will be."""
    picture = Image.new("RGB", size, coat.fur)
    draw = ImageDraw.Draw(picture)
    for outline in markings:
        polygon(draw, outline, coat.mark)
    return picture.filter(ImageFilter.BoxBlur(1)) if markings else picture


def _texture(size: tuple[int, int], cell: tuple[float, float], rng: Generator) -> Pixels:
    """Smooth noise of deviation about 1, shape [height, width], its grains of `cell` pixels in x and y."""
    rows, columns = (max(2, int(side / grain) + 2) for side, grain in zip(size[::-1], cell[::-1], strict=True))
    small = Image.fromarray(rng.standard_normal((rows, columns), np.float32))
    return np.asarray(small.resize(size, Image.Resampling.BILINEAR))


def _paint_pet(shapes: list[Shape], coat: Coat, fur: Image.Image, rng: Generator) -> tuple[Pixels, Pixels]:
    """The animal without its scene, in the size of `fur`: RGB [height, width, 3] and opacity [height, width]."""
    double = (2 * fur.width, 2 * fur.height)
    flat, layers = Image.new("RGB", double, coat.fur), Image.new("RGB", double)
    on_flat, on_layers = ImageDraw.Draw(flat), ImageDraw.Draw(layers)
    for shape in shapes:
        polygon(on_flat, shape.points * 2, shape.colour or coat.fur)
        polygon(on_layers, shape.points * 2, (255, 0 if shape.colour else 255, 0))
    opacity, furry, _ = layers.reduce(2).split()
    colour = np.asarray(Image.composite(fur, flat.reduce(2), furry), np.float32)
    light = _relief(opacity) * _rims(shapes, fur.size) * _strands(fur.size, rng)
    return colour * light[..., None], np.asarray(opacity, np.float32) / 255


def _rims(shapes: list[Shape], size: tuple[int, int]) -> Pixels:
    """Brightness of the shapes, with a soft dark edge around each that has a rim."""
    picture = Image.new("L", (size[0] // 2, size[1] // 2), 255)
    draw, unit = ImageDraw.Draw(picture), _unit(size)
    for shape in shapes:
        outline = (shape.points / 2).ravel().tolist()
        if shape.rim:
            draw.line(outline + outline[:2], 120, max(1, round(unit / 120)))
        draw.polygon(outline, round(255 * shape.light))
    blurred = picture.filter(ImageFilter.BoxBlur(unit / 160)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(blurred, np.float32) / np.float32(255)


def _relief(opacity: Image.Image) -> Pixels:
    """Brightness of the silhouette as if it bulged under light from above: about 1, more near its upper edges."""
    unit = _unit(opacity.size)
    volume = opacity.reduce(4).filter(ImageFilter.GaussianBlur(unit / 72))
    slope = ImageChops.subtract(volume, ImageChops.offset(volume, 0, round(unit / 64)), 4, 128)
    return np.asarray(slope.resize(opacity.size, Image.Resampling.BILINEAR), np.float32) / np.float32(128)


def _strands(size: tuple[int, int], rng: Generator) -> Pixels:
    unit = _unit(size)
    fine, coarse = _texture(size, (unit / 120, unit / 30), rng), _texture(size, (unit / 25, unit / 20), rng)
    return 1 + np.float32(0.04) * (fine + coarse)


def _unit(size: tuple[int, int]) -> float:
    """The side of a square of the picture's area: the measure of all that does not scale with the animal."""
    return float((size[0] * size[1]) ** 0.5)


def _frame(
    body: list[Shape], head: list[Shape], cut: float, size: tuple[int, int], rng: Generator
) -> tuple[Points, Points]:
    """Matrix and offset that put the animal in the picture, its head in view, the share `cut` below the lower edge."""
    matrix = rotation(rng.normal(0, 0.07)) * (rng.choice([-1, 1]), 1)
    (low, high), (head_low, head_high) = (bounds(placed(shapes, matrix, np.zeros(2))) for shapes in (body + head, head))
    extent = (high - low) * (1, 1 - cut)
    scale = rng.triangular(0.7, 1.0, 1.3) * np.min(size / extent)
    place = rng.beta((2, 4), 2) if cut == 0 else np.array([rng.beta(2, 2), 1])
    offset = (size - scale * extent) * place - scale * low
    offset -= np.minimum(scale * head_low + offset, 0)
    offset -= np.maximum(scale * head_high + offset - size, 0)
    return matrix * scale, offset


def _trimap(opacity: Pixels) -> NDArray[np.uint8]:
    """Classes by the silhouette, blurred: a band along its outline, and whatever is thinner than it, is border."""
    silhouette = Image.fromarray(np.where(opacity >= 0.5, np.uint8(255), np.uint8(0)))
    blurred = np.asarray(silhouette.filter(ImageFilter.GaussianBlur(BORDER_HALF_WIDTH * _unit(silhouette.size))))
    # A straight edge blurred to 255 · 0.84 lies one standard deviation inside the outline, to 255 · 0.16 one outside.
    inside = np.where(blurred > 214, np.uint8(PET), np.uint8(BORDER))
    return np.where(blurred < 41, np.uint8(BACKGROUND), inside)


def _paint_background(scene: str, shapes: list[Shape], size: tuple[int, int], rng: Generator) -> Pixels:
    """The textured scene with the animal's shadow: RGB [height, width, 3]."""
    picture = paint_scene(scene, (2 * size[0], 2 * size[1]), rng)
    (left, _), (right, bottom) = bounds(shapes)
    draw, wide = ImageDraw.Draw(picture, "RGBA"), right - left
    for spread in np.linspace(0.36, 0.58, 7).tolist():
        shadow = ellipse((left + right) / 2, bottom - wide * 0.03, wide * spread, wide * spread * 0.16)
        polygon(draw, 2 * shadow, (20, 18, 24, 20))
    weave = np.ones(size[::-1], np.float32)
    for amount, *divisions in rng.uniform((0.01, 12, 12), (0.05, 120, 120), (2, 3)).tolist():
        grain = (_unit(size) / divisions[0], _unit(size) / divisions[1])
        weave += np.float32(amount) * _texture(size, grain, rng)
    return np.asarray(picture.reduce(2), np.float32) * weave[..., None]


def _lit(picture: Pixels, rng: Generator) -> NDArray[np.uint8]:
    """The picture under light that falls off to one side, has a tint, and leaves a little noise."""
    height, width = picture.shape[:2]
    across, down = rng.uniform(-0.15, 0.15, 2)
    gradient = 1 + across * np.linspace(-1, 1, width) + down * np.linspace(-1, 1, height)[:, None]
    warmth = rng.uniform(0.9, 1.08) * rng.normal(1, 0.03, 3)
    lit = picture * (gradient.astype(np.float32)[..., None] * warmth.astype(np.float32))
    lit += (rng.random((height, width, 1), np.float32) - 0.5) * np.float32(rng.uniform(4, 16))
    return np.clip(lit, 0, 255, out=lit).astype(np.uint8)


def _size(min_side: int, max_side: int, rng: Generator) -> tuple[int, int]:
    long = rng.integers(round(0.6 * min_side + 0.4 * max_side), max_side + 1)
    short = max(min_side, round(long * rng.uniform(0.6, 1.0)))
    return (int(long), short) if rng.random() < 0.55 else (short, int(long))


def draw_pet(
    seed: int, index: int, *, split: str = "train", min_side: int = 120, max_side: int = 320
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], PetAttributes]:
    """A picture of a cat or dog, its trimap, and what was drawn.

    Args:
        seed: Of the whole data set, not negative.
        index: Number of the example in its split; the breeds take turns.
        split: Name of the split: equal indices of different splits differ.
        min_side: Least side in pixels.
        max_side: Greatest side in pixels.

    Returns:
        The image, uint8 [height, width, 3]; the trimap, uint8 [height, width] of `PET`, `BACKGROUND` and `BORDER`;
        the attributes. Equal arguments give equal pixels.
    """
    rng = np.random.default_rng([seed, zlib.crc32(split.encode()), index])
    breed = BREEDS[index % len(BREEDS)]
    pose, scene = str(rng.choice(list(POSES))), str(rng.choice(list(SCENES)))
    size = _size(min_side, max_side, rng)
    coat = dress(breed, rng)
    body, head = pose_pet(breed, coat, pose, rng)
    cut = rng.uniform(0.15, 0.45) if pose == "portrait" else 0.0
    matrix, offset = _frame(body, head, cut, size, rng)
    markings = [outline @ matrix.T + offset for outline in coat_markings(breed.pattern, body + head, rng)]
    body, head = placed(body, matrix, offset), placed(head, matrix, offset)
    pet, opacity = _paint_pet(body + head, coat, _paint_coat(coat, markings, size), rng)
    background = _paint_background(scene, body + head, size, rng)
    background += (pet - background) * opacity[..., None]
    image = _lit(background, rng)
    (left, top), (right, bottom) = np.clip(np.divide(bounds(head), size), 0, 1).tolist()
    return image, _trimap(opacity), PetAttributes(breed.name, breed.species, pose, scene, (top, left, bottom, right))
