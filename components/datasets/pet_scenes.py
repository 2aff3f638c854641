"""What the animals are seen against: five kinds of scene, and things that stand about in them."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from components.datasets.pet_breeds import BREEDS
from components.datasets.pet_shapes import Colour, curve, ellipse, polygon, rotation, shade, tint, tube

FABRICS = ("#7fa3b8", "#5f7fa0", "#6f9a8c", "#b7c9d6", "#4a5f86", "#a9788f", "#8a7fb0", "#88b0a8", "#c3b4d4", "#75936a")
GREENS = ("#7fa650", "#5f8a45", "#98ad5a", "#4d7040")
EARTHS = ("#a9b56a", "#94904f", "#8fa05a", "#7a8a5a", "#c8d0a8", "#d6e6ee")
VIVIDS = ("#3f7fb5", "#c2473d", "#4f9a6a", "#e0b13c", "#7a5aa6", "#d77a9b")
WOODS = ("#b98a5a", "#8b5f3c", "#d3b083", "#6b4a33", "#9b958c")


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
