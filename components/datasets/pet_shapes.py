"""Outlines, colours, and the shapes that an animal is made of."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from PIL import ImageColor, ImageDraw

Points = NDArray[np.float64]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Shape:
    """A filled outline of an animal. Without a colour it shows the coat; `light` below 1 darkens it."""

    points: Points
    colour: Colour | None = None
    light: float = 1.0
    rim: bool = True  # a soft dark edge sets it off from what lies behind
    furry: bool = True  # its edge is ruffled by tufts of fur


_T = np.linspace(0, 1, 8, endpoint=False)[:, None]
_CATMULL_ROM = _T ** (0, 1, 2, 3) @ [(0, 1, 0, 0), (-0.5, 0, 0.5, 0), (1, -2.5, 2, -0.5), (-0.5, 1.5, -1.5, 0.5)]
_ANGLE = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], 1)
_U = (1 - np.cos(np.linspace(0, np.pi, 20)))[:, None] / 2  # dense at both ends, which are round
_BEZIER = np.hstack([(1 - _U) ** 2, 2 * _U * (1 - _U), _U**2])
_BEZIER_SLOPE = np.hstack([_U - 1, 1 - 2 * _U, _U])
_TAPER = np.hstack([1 - _U, _U]) * np.sqrt(1 - (2 * _U - 1) ** 8)


def curve(points: ArrayLike) -> Points:
    """A smooth closed outline through the points (Catmull-Rom)."""
    knots = np.asarray(points, float)
    around = (np.arange(len(knots))[:, None] + np.arange(-1, 3)) % len(knots)
    return (_CATMULL_ROM @ knots[around]).reshape(-1, 2)


def symmetric(half: ArrayLike) -> Points:
    """A smooth closed outline from its right half, mirrored at x = 0."""
    right = np.asarray(half, float)
    return curve(np.concatenate([right, right[::-1] * (-1, 1)]))


def ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    """The outline of an ellipse about x and y with radii `rx` and `ry`."""
    return _CIRCLE * (rx, ry) + (x, y)


def tube(start: ArrayLike, bend: ArrayLike, end: ArrayLike, widths: tuple[float, float]) -> Points:
    """A limb with round ends along a quadratic Bézier curve, `widths` being its half widths at both ends."""
    controls = np.array((start, bend, end), float)
    tangent = _BEZIER_SLOPE @ controls
    normal = tangent[:, ::-1] * (-1, 1) / (np.hypot(*tangent.T)[:, None] + 1e-9)
    sides = normal * (_TAPER @ widths)[:, None]
    spine = _BEZIER @ controls
    return np.concatenate([spine + sides, (spine - sides)[::-1]])


def ruffle(points: Points, amount: float, rng: Generator) -> Points:
    """The outline with tufts of fur that stand out by up to `amount`."""
    outward = points - points.mean(0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9
    return points + outward * rng.uniform(-0.3, 1.0, (len(points), 1)) * amount


def shade(colour: Colour, factor: float) -> Colour:
    """The colour brightened or darkened by the factor."""
    red, green, blue = (int(min(255, channel * factor)) for channel in colour)
    return red, green, blue


def varied(colour: str, gain: Points) -> Colour:
    """The hex colour with its channels multiplied by `gain`."""
    red, green, blue = np.clip(np.array(ImageColor.getrgb(colour)) * gain + 0.5, 0, 255).astype(int).tolist()
    return red, green, blue


def random_gain(rng: Generator) -> Points:
    """A factor for each channel: a little brighter or darker, warmer or colder."""
    return rng.normal(1, 0.08) * rng.normal(1, 0.03, 3)


def tint(rng: Generator, *colours: str) -> Colour:
    """One of the colours, a little varied."""
    return varied(colours[rng.integers(len(colours))], random_gain(rng))


def rotation(angle: float) -> Points:
    """The matrix that turns by the angle, in radians, from x towards y."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def placed(shapes: list[Shape], matrix: Points, offset: Points) -> list[Shape]:
    """The shapes with their points moved by the matrix, then by the offset."""
    return [replace(shape, points=shape.points @ matrix.T + offset) for shape in shapes]


def polygon(draw: ImageDraw.ImageDraw, points: Points, fill: tuple[int, ...]) -> None:
    """Fills the outline."""
    draw.polygon(points.ravel().tolist(), fill=fill)


def bounds(shapes: list[Shape]) -> tuple[Points, Points]:
    """Least and greatest x and y."""
    points = np.concatenate([shape.points for shape in shapes])
    return points.min(0), points.max(0)
