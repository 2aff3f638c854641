"""Pictures of cats and dogs with their trimaps, drawn from a seed and nothing else.

An animal stands before one of five kinds of scene, with things about in it. Animal and scene are painted at twice the
size; halving it smooths the edges.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from components.datasets.pet_anatomy import (
    BREEDS,
    POSES,
    Coat,
    Colour,
    Points,
    Shape,
    bounds,
    coat_markings,
    curve,
    dress,
    ellipse,
    placed,
    polygon,
    pose_pet,
    rotation,
    shade,
    tint,
    tube,
)

PET, BACKGROUND, BORDER = 1, 2, 3
BORDER_HALF_WIDTH = 0.0205  # as a share of the square root of the picture's area

FABRICS = ("#7fa3b8", "#5f7fa0", "#6f9a8c", "#b7c9d6", "#4a5f86", "#a9788f", "#8a7fb0", "#88b0a8", "#c3b4d4", "#75936a")
GREENS = ("#7fa650", "#5f8a45", "#98ad5a", "#4d7040")
EARTHS = ("#a9b56a", "#94904f", "#8fa05a", "#7a8a5a", "#c8d0a8", "#d6e6ee")
VIVIDS = ("#3f7fb5", "#c2473d", "#4f9a6a", "#e0b13c", "#7a5aa6", "#d77a9b")
WOODS = ("#b98a5a", "#8b5f3c", "#d3b083", "#6b4a33", "#9b958c")

Pixels = NDArray[np.floating]


@dataclass(frozen=True)
class PetAttributes:
    """What was drawn. `head_box` is ymin, xmin, ymax, xmax as shares of the picture's height and width."""

    breed: str
    species: str
    pose: str
    scene: str
    head_box: tuple[float, float, float, float]


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
    long = int(rng.integers(round(0.6 * min_side + 0.4 * max_side), max_side + 1))
    short = max(min_side, round(long * rng.uniform(0.6, 1.0)))
    size = (long, short) if rng.random() < 0.55 else (short, long)
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
    unit = _unit(fur.size)
    strands = _texture(fur.size, (unit / 120, unit / 30), rng) + _texture(fur.size, (unit / 25, unit / 20), rng)
    light = _relief(opacity) * _rims(shapes, fur.size) * (1 + np.float32(0.04) * strands)
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


def _prop_colour(rng: Generator) -> Colour:
    """Often a colour that some animal wears too."""
    furs = BREEDS[rng.integers(len(BREEDS))].coat.split()
    return tint(rng, *(furs if rng.random() < 0.3 else VIVIDS))


def _paint_field(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    horizon, ground = height * rng.uniform(0.08, 0.5), tint(rng, *GREENS, *EARTHS)
    draw.rectangle((0, 0, width, height), tint(rng, "#a9cfe8", "#dfe6ea", "#f1d3a6", "#8fb3cf"))
    for _ in range(4):
        x, rx, ry = width * rng.random(), width * rng.uniform(0.15, 0.5), height * rng.uniform(0.05, 0.3)
        polygon(draw, ellipse(x, horizon, rx, ry), tint(rng, *GREENS, *EARTHS))
    draw.rectangle((0, horizon, width, height), ground)
    for y in np.sort(rng.uniform(horizon, height * 1.05, 100)).tolist():
        x, tall = width * rng.random(), (0.02 + 0.06 * (y - horizon) / height) * height
        blade = (x - tall * 0.07, y, x + tall * 0.07, y, x + tall * rng.normal(0, 0.4), y - tall)
        draw.polygon(blade, shade(ground, rng.uniform(0.7, 1.25)))


def _paint_room(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    wall, skirting, wood = tint(rng, *FABRICS), height * rng.uniform(0.4, 0.8), tint(rng, *WOODS)
    draw.rectangle((0, 0, width, height), wall)
    if rng.random() < 0.6:
        pitch = width * rng.uniform(0.06, 0.2)
        for x in np.arange(0, width, pitch).tolist():
            draw.rectangle((x, 0, x + pitch * 0.5, skirting), shade(wall, 0.9))
    x, y, wide = width * rng.uniform(-0.1, 0.8), height * rng.uniform(0.02, 0.2), width * rng.uniform(0.15, 0.4)
    draw.rectangle((x, y, x + wide, y + wide * 0.8), tint(rng, *WOODS))
    draw.rectangle((x + wide * 0.08, y + wide * 0.08, x + wide * 0.92, y + wide * 0.72), _prop_colour(rng))
    draw.rectangle((0, skirting, width, height), wood)
    draw.rectangle((0, skirting - height * 0.03, width, skirting), shade(wall, 1.15))
    vanish = width * rng.uniform(0.2, 0.8)
    for x in np.linspace(-2 * width, 3 * width, 30).tolist():
        start = (vanish + (x - vanish) * 0.45, skirting)
        draw.line((*start, x, height), shade(wood, rng.uniform(0.75, 0.9)), max(1, int(width / 160)))


def _paint_sofa(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    cover, seat = _prop_colour(rng) if rng.random() < 0.5 else tint(rng, *FABRICS), height * rng.uniform(0.5, 0.8)
    draw.rectangle((0, 0, width, height), tint(rng, *FABRICS))
    count, back = int(rng.integers(2, 5)), height * rng.uniform(0.0, 0.25)
    for column in range(-1, count + 1):
        left, wide = (column + rng.uniform(-0.1, 0.1)) * width / count, width / count
        box = (left, back, left + wide * 0.99, height)
        draw.rounded_rectangle(box, wide * 0.18, shade(cover, rng.uniform(0.88, 1.02)), shade(cover, 0.6), 3)
        draw.ellipse((left + wide * 0.46, seat * 0.6, left + wide * 0.54, seat * 0.6 + wide * 0.08), shade(cover, 0.7))
    draw.rounded_rectangle((-width * 0.1, seat, width * 1.1, height * 1.2), height * 0.06, cover, shade(cover, 0.6), 3)


def _paint_carpet(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    ground, inks = tint(rng, *FABRICS), [tint(rng, *FABRICS), _prop_colour(rng)]
    draw.rectangle((0, 0, width, height), ground)
    pitch, corners = max(width, height) * rng.uniform(0.09, 0.22), int(rng.choice([3, 4, 6, 28]))
    turn, angle = rotation(rng.uniform(0, np.pi)), np.linspace(0, 2 * np.pi, corners, endpoint=False)
    motif = np.stack([np.cos(angle), np.sin(angle)], 1) * pitch * rng.uniform(0.3, 0.55)
    cells = np.mgrid[-12:13, -12:13].reshape(2, -1).T
    centres = (cells + 0.5 * (cells[:, 1:] % 2) * (1, 0)) @ turn.T * pitch + (width / 2, height / 2)
    seen = np.all((centres > -pitch) & (centres < (width + pitch, height + pitch)), axis=1)
    for (_, row), centre in zip(cells[seen], centres[seen], strict=True):
        polygon(draw, motif @ turn.T + centre, inks[row % 2])
        polygon(draw, motif @ turn.T * 0.5 + centre, inks[(row + 1) % 2])


def _paint_garden(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    base, path = tint(rng, *GREENS), height * rng.uniform(0.55, 0.95)
    draw.rectangle((0, 0, width, height), shade(base, 0.6))
    fence, leaf = tint(rng, *WOODS), max(width, height) * rng.uniform(0.02, 0.05)
    if rng.random() < 0.5:
        for x in np.arange(0, width, width * 0.13).tolist():
            draw.rectangle((x, height * 0.1, x + width * 0.11, path), shade(fence, rng.uniform(0.85, 1.05)))
    for x, y in (rng.uniform(-0.05, 1.05, (100, 2)) * (width, path)).tolist():
        colour = shade(base, rng.uniform(0.6, 1.3)) if rng.random() < 0.9 else _prop_colour(rng)
        polygon(draw, ellipse(0, 0, leaf, leaf * 0.55) @ rotation(rng.uniform(0, 3)) + (x, y), colour)
    draw.rectangle((0, path, width, height), tint(rng, *EARTHS))
    for x, y in (rng.random((25, 2)) * (width, height - path) + (0, path)).tolist():
        polygon(draw, ellipse(x, y, leaf, leaf * 0.5), tint(rng, *EARTHS))


SCENES: dict[str, Callable[[ImageDraw.ImageDraw, float, float, Generator], None]] = {
    "field": _paint_field,
    "room": _paint_room,
    "sofa": _paint_sofa,
    "carpet": _paint_carpet,
    "garden": _paint_garden,
}


def _paint_ball(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, rng: Generator) -> None:
    colour = _prop_colour(rng)
    polygon(draw, ellipse(x, y - size * 0.5, size * 0.5, size * 0.5), colour)
    polygon(draw, ellipse(x, y - size * 0.5, size * 0.18, size * 0.5), shade(colour, 0.75))
    polygon(draw, ellipse(x - size * 0.15, y - size * 0.7, size * 0.12, size * 0.1), shade(colour, 1.3))


def _paint_cushion(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, rng: Generator) -> None:
    colour, ink = _prop_colour(rng), _prop_colour(rng)
    half, turn = size * 0.75, rotation(rng.uniform(-0.4, 0.4))
    corners = np.array([(-1, -1), (0, -0.85), (1, -1), (0.88, 0), (1, 1), (0, 0.88), (-1, 1), (-0.88, 0)]) * half
    polygon(draw, curve(corners) @ turn + (x, y - half), colour)
    for stripe in np.linspace(-0.6, 0.6, int(rng.integers(1, 6))).tolist():
        band = tube((stripe * half, -0.8 * half), (stripe * half, 0), (stripe * half, 0.8 * half), (size * 0.05,) * 2)
        polygon(draw, band @ turn + (x, y - half), ink)


def _paint_plant(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, rng: Generator) -> None:
    for angle in rng.normal(0, 0.6, 9).tolist():
        tip = (x + np.sin(angle) * size * 1.6, y - size * 0.6 - np.cos(angle) * size * 1.3)
        leaf = tube((x, y - size * 0.6), (x, y - size * 1.3), tip, (size * 0.14, size * 0.04))
        polygon(draw, leaf, tint(rng, *GREENS, "#8f7a4a"))
    pot = np.array([(-0.42, -0.8), (0.42, -0.8), (0.3, 0), (-0.3, 0)]) * size + (x, y)
    polygon(draw, pot, _prop_colour(rng))


def _paint_post(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, rng: Generator) -> None:
    rope, half, tall = _prop_colour(rng), size * 0.25, size * rng.uniform(1.5, 3.5)
    draw.rectangle((x - half, y - tall, x + half, y), rope)
    for level in np.arange(y - tall, y, size * 0.14).tolist():
        draw.line((x - half, level, x + half, level + size * 0.05), shade(rope, 0.78), max(1, int(size * 0.04)))
    draw.rounded_rectangle((x - size * 0.7, y - size * 0.15, x + size * 0.7, y), size * 0.06, tint(rng, *FABRICS))


PROPS = (_paint_ball, _paint_cushion, _paint_plant, _paint_post)


def paint_scene(scene: str, size: tuple[int, int], rng: Generator) -> Image.Image:
    """The scene and up to four things that stand about in it."""
    width, height = size
    picture = Image.new("RGB", size)
    draw, veil = ImageDraw.Draw(picture), ImageDraw.Draw(picture, "RGBA")
    SCENES[scene](draw, width, height, rng)
    for y in np.sort(rng.uniform(0.5, 1.1, rng.integers(1, 5))).tolist():
        x, extent = rng.random() * width, rng.uniform(0.12, 0.34) * min(width, height)
        polygon(veil, ellipse(x, y * height, extent * 0.8, extent * 0.12), (20, 18, 24, 80))
        PROPS[rng.integers(len(PROPS))](draw, x, y * height, extent, rng)
    return picture
