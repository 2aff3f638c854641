"""Pictures of cats and dogs with their trimaps, drawn from a seed and nothing else.

An animal is a list of `Shape`s in its own frame (facing right, feet at y = 0, y down, a body about 1 long). The list is
placed in the picture and painted with its coat at twice the size; halving it smooths the edges.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

PET, BACKGROUND, BORDER = 1, 2, 3
BORDER_WIDTH = 0.0205  # half the width of the border, as a share of the square root of the picture's area

Points = NDArray[np.float64]
Pixels = NDArray[np.floating]
Colour = tuple[int, int, int]

DARK: Colour = (42, 30, 30)


@dataclass(frozen=True)
class Breed:
    """How a breed looks; `coat` holds the hex colours of fur, pale parts and markings."""

    name: str
    species: str
    coat: str
    pattern: str = "solid"  # solid, tabby, spotted, patched, saddle
    face: str = "plain"  # plain, mask (dark muzzle), blaze (pale stripe), points (dark face, ears, paws, tail)
    ears: str = "pointed"  # pointed, pricked, floppy
    ear_size: float = 1.0
    girth: float = 1.0
    legs: float = 1.0
    fluff: float = 0.2


BREEDS = (
    Breed("Abyssinian", "Cat", "#bf7f4b #e3bd90 #7d4c2a", "solid", "plain", "pointed", 1.2, 0.85, 1.05, 0.1),
    Breed("american_bulldog", "Dog", "#eee7db #ffffff #a9754a", "patched", "blaze", "floppy", 0.7, 1.15, 1.0, 0.05),
    Breed(
        "american_pit_bull_terrier", "Dog", "#9a6f4f #efe5d8 #5f4433", "solid", "blaze", "floppy", 0.7, 1.0, 1.1, 0.0
    ),
    Breed("basset_hound", "Dog", "#c98f57 #f6efe2 #3a2b23", "saddle", "blaze", "floppy", 1.55, 1.1, 0.55, 0.05),
    Breed("beagle", "Dog", "#c88d52 #faf4ea #33271f", "saddle", "blaze", "floppy", 1.1, 0.95, 0.9, 0.05),
    Breed("Bengal", "Cat", "#d39a57 #efd6aa #5a371d", "spotted", "plain", "pointed", 0.95, 0.95, 1.0, 0.1),
    Breed("Birman", "Cat", "#e9dcc5 #fbf6ea #6b5344", "solid", "points", "pointed", 0.9, 1.05, 0.9, 0.7),
    Breed("Bombay", "Cat", "#2d2a2e #454047 #161417", "solid", "plain", "pointed", 1.0, 0.95, 1.0, 0.1),
    Breed("boxer", "Dog", "#bd8550 #f3e8d9 #35261d", "solid", "mask", "floppy", 0.8, 1.0, 1.15, 0.05),
    Breed("British_Shorthair", "Cat", "#8b919b #a9afb8 #5f656f", "solid", "plain", "pointed", 0.8, 1.2, 0.8, 0.35),
    Breed("chihuahua", "Dog", "#d0a271 #f4e3c8 #8b6240", "solid", "plain", "pricked", 1.35, 0.85, 0.9, 0.1),
    Breed("Egyptian_Mau", "Cat", "#a8a096 #d3ccc0 #4b463f", "spotted", "plain", "pointed", 1.05, 0.9, 1.05, 0.1),
    Breed("english_cocker_spaniel", "Dog", "#b9814a #d9ae78 #8a5a2f", "solid", "plain", "floppy", 1.4, 1.0, 0.8, 0.6),
    Breed("english_setter", "Dog", "#efe9df #ffffff #6d5a4c", "spotted", "blaze", "floppy", 1.2, 0.95, 1.1, 0.55),
    Breed("german_shorthaired", "Dog", "#6a4632 #a59384 #3d281d", "spotted", "plain", "floppy", 1.1, 0.9, 1.15, 0.05),
    Breed("great_pyrenees", "Dog", "#efeae0 #ffffff #cfc4b0", "solid", "plain", "floppy", 0.9, 1.2, 1.0, 0.8),
    Breed("havanese", "Dog", "#d9c4a4 #f5ecdc #96795a", "patched", "plain", "floppy", 1.2, 1.05, 0.6, 0.95),
    Breed("japanese_chin", "Dog", "#f1ece4 #ffffff #26211f", "patched", "blaze", "floppy", 1.15, 1.0, 0.65, 0.8),
    Breed("keeshond", "Dog", "#97938c #d9d3c6 #3b3734", "solid", "mask", "pricked", 0.85, 1.2, 0.85, 1.0),
    Breed("leonberger", "Dog", "#b98549 #d8b27b #40301f", "solid", "mask", "floppy", 0.95, 1.15, 1.05, 0.8),
    Breed("Maine_Coon", "Cat", "#94745a #cdb498 #463325", "tabby", "plain", "pointed", 1.15, 1.15, 1.0, 0.9),
    Breed("miniature_pinscher", "Dog", "#3a2a22 #b9763f #211814", "solid", "blaze", "pricked", 1.15, 0.8, 1.1, 0.0),
    Breed("newfoundland", "Dog", "#332e2c #4a4441 #1d1a19", "solid", "plain", "floppy", 0.95, 1.25, 0.95, 0.85),
    Breed("Persian", "Cat", "#dcb98f #f3e2c7 #ad8355", "solid", "plain", "pointed", 0.65, 1.25, 0.65, 1.0),
    Breed("pomeranian", "Dog", "#d6944e #f2cf9d #9c6430", "solid", "plain", "pricked", 0.7, 1.15, 0.65, 1.0),
    Breed("pug", "Dog", "#d8b88c #ecd8b6 #33291f", "solid", "mask", "floppy", 0.65, 1.2, 0.75, 0.05),
    Breed("Ragdoll", "Cat", "#e6ddd0 #ffffff #7c6a60", "solid", "points", "pointed", 0.9, 1.15, 0.85, 0.85),
    Breed("Russian_Blue", "Cat", "#7b8694 #97a1ae #545d69", "solid", "plain", "pointed", 1.1, 0.9, 1.0, 0.15),
    Breed("saint_bernard", "Dog", "#b06f3c #faf5ec #5f3a22", "patched", "blaze", "floppy", 0.9, 1.25, 1.0, 0.6),
    Breed("samoyed", "Dog", "#f3efe7 #ffffff #d8d0c1", "solid", "plain", "pricked", 0.8, 1.2, 0.9, 1.0),
    Breed("scottish_terrier", "Dog", "#3c3938 #57524f #232120", "solid", "plain", "pricked", 1.0, 1.1, 0.5, 0.85),
    Breed("shiba_inu", "Dog", "#cb8545 #f7ead6 #8f5526", "solid", "blaze", "pricked", 0.85, 1.0, 0.95, 0.35),
    Breed("Siamese", "Cat", "#e3d3b8 #f3e9d6 #4a3629", "solid", "points", "pointed", 1.25, 0.8, 1.1, 0.05),
    Breed("Sphynx", "Cat", "#d9b29d #edd0bf #a87f6c", "solid", "plain", "pointed", 1.45, 0.85, 1.0, 0.0),
    Breed(
        "staffordshire_bull_terrier", "Dog", "#4e4a4d #ece6df #2f2c2e", "solid", "blaze", "floppy", 0.7, 1.1, 0.9, 0.0
    ),
    Breed("wheaten_terrier", "Dog", "#d3ae79 #ead2a9 #a17d4d", "solid", "plain", "floppy", 0.85, 1.0, 1.0, 0.9),
    Breed("yorkshire_terrier", "Dog", "#c08a52 #e0b988 #56545c", "saddle", "plain", "pricked", 0.95, 0.9, 0.65, 0.9),
)


@dataclass(frozen=True)
class PetAttributes:
    """What was drawn. `head_box` is ymin, xmin, ymax, xmax as shares of the picture's height and width."""

    breed: str
    species: str
    pose: str
    scene: str
    head_box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Shape:
    """A filled outline of an animal. Without a colour it shows the coat; `light` below 1 darkens it."""

    points: Points
    colour: Colour | None = None
    light: float = 1.0
    rim: bool = True  # a soft dark edge sets it off from what lies behind
    furry: bool = True  # its edge is ruffled by tufts of fur


@dataclass(frozen=True)
class Coat:
    """One animal's colours, varied within its breed."""

    fur: Colour
    pale: Colour
    mark: Colour
    eye: Colour


Posed = tuple[list[Shape], tuple[float, float]]  # the shapes of the body, back to front, and the head's centre


# --- outlines ------------------------------------------------------------------------------------------------------

_T = np.linspace(0, 1, 8, endpoint=False)[:, None]
_CATMULL_ROM = _T ** (0, 1, 2, 3) @ [(0, 1, 0, 0), (-0.5, 0, 0.5, 0), (1, -2.5, 2, -0.5), (-0.5, 1.5, -1.5, 0.5)]
_ANGLE = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], 1)
_U = (1 - np.cos(np.linspace(0, np.pi, 20)))[:, None] / 2  # dense at both ends, which are round
_BEZIER = np.hstack([(1 - _U) ** 2, 2 * _U * (1 - _U), _U**2])
_BEZIER_SLOPE = np.hstack([_U - 1, 1 - 2 * _U, _U])
_TAPER = np.hstack([1 - _U, _U]) * np.sqrt(1 - (2 * _U - 1) ** 8)


def _curve(points: ArrayLike) -> Points:
    """A smooth closed outline through the points (Catmull-Rom)."""
    knots = np.asarray(points, float)
    around = (np.arange(len(knots))[:, None] + np.arange(-1, 3)) % len(knots)
    return (_CATMULL_ROM @ knots[around]).reshape(-1, 2)


def _symmetric(half: ArrayLike) -> Points:
    """A smooth closed outline from its right half, mirrored at x = 0."""
    right = np.asarray(half, float)
    return _curve(np.concatenate([right, right[::-1] * (-1, 1)]))


def _ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    return _CIRCLE * (rx, ry) + (x, y)


def _tube(start: ArrayLike, bend: ArrayLike, end: ArrayLike, widths: tuple[float, float]) -> Points:
    """A limb with round ends along a quadratic Bézier curve, `widths` being its half widths at both ends."""
    controls = np.array((start, bend, end), float)
    tangent = _BEZIER_SLOPE @ controls
    normal = tangent[:, ::-1] * (-1, 1) / (np.hypot(*tangent.T)[:, None] + 1e-9)
    sides = normal * (_TAPER @ widths)[:, None]
    spine = _BEZIER @ controls
    return np.concatenate([spine + sides, (spine - sides)[::-1]])


def _ruffle(points: Points, amount: float, rng: Generator) -> Points:
    """The outline with tufts of fur that stand out by up to `amount`."""
    outward = points - points.mean(0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9
    return points + outward * rng.uniform(-0.3, 1.0, (len(points), 1)) * amount


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(min(255, channel * factor)) for channel in colour)
    return red, green, blue


def _varied(colour: str, gain: Points) -> Colour:
    red, green, blue = np.clip(np.array(ImageColor.getrgb(colour)) * gain + 0.5, 0, 255).astype(int).tolist()
    return red, green, blue


def _gain(rng: Generator) -> Points:
    """A factor for each channel: a little brighter or darker, warmer or colder."""
    return rng.normal(1, 0.08) * rng.normal(1, 0.03, 3)


def _tint(rng: Generator, *colours: str) -> Colour:
    """One of the colours, a little varied."""
    return _varied(colours[rng.integers(len(colours))], _gain(rng))


def _rotation(angle: float) -> Points:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _placed(shapes: list[Shape], matrix: Points, offset: Points) -> list[Shape]:
    return [replace(shape, points=shape.points @ matrix.T + offset) for shape in shapes]


def _polygon(draw: ImageDraw.ImageDraw, points: Points, fill: tuple[int, ...]) -> None:
    draw.polygon(points.ravel().tolist(), fill=fill)


def _bounds(shapes: list[Shape]) -> tuple[Points, Points]:
    """Least and greatest x and y."""
    points = np.concatenate([shape.points for shape in shapes])
    return points.min(0), points.max(0)


# --- the animal ------------------------------------------------------------------------------------------------------


def _dress(breed: Breed, rng: Generator) -> Coat:
    gain = _gain(rng)
    fur, pale, mark = (_varied(colour, gain) for colour in breed.coat.split())
    eyes = {"Cat": ("#c9a13b", "#86a34a", "#b5742c"), "Dog": ("#5a3a22", "#3c2a1d")}[breed.species]
    return Coat(fur, pale, mark, _tint(rng, *(("#7fb6d9",) if breed.face == "points" else eyes)))


def _tail(breed: Breed, coat: Coat, root: tuple[float, float], rng: Generator) -> Shape:
    cat = breed.species == "Cat"
    angle, length = rng.uniform(-0.3, 1.5), rng.uniform(0.6, 0.9) if cat else rng.uniform(0.3, 0.55)
    tip = np.add(root, (-length * np.cos(angle), -length * np.sin(angle)))
    bend = (np.add(root, tip) / 2) + rng.uniform(-0.35, 0.35) * np.array([-np.sin(angle), np.cos(angle)])
    width = 0.055 + 0.07 * breed.fluff
    outline = _tube(root, bend, tip, (width, width * (0.9 if cat else 0.5 + 0.6 * breed.fluff)))
    return Shape(outline, coat.mark if breed.face == "points" else None)


def _leg(
    breed: Breed, coat: Coat, hip: tuple[float, float], foot: tuple[float, float], light: float = 1.0
) -> list[Shape]:
    """A leg that bends a little, and its paw."""
    knee = ((hip[0] + foot[0]) / 2 + 0.04, (hip[1] + foot[1]) / 2)
    width = 0.075 * (0.6 + 0.4 * breed.girth) * (1 + 0.4 * breed.fluff)
    paw = {"points": coat.mark, "blaze": coat.pale}.get(breed.face)
    return [
        Shape(_tube(hip, knee, (foot[0], foot[1] - 0.03), (width * 1.4, width)), light=light),
        Shape(_ellipse(foot[0] + 0.04, foot[1] - 0.05, width * 1.35, 0.06), paw and _shade(paw, light), light),
    ]


def _standing(breed: Breed, coat: Coat, rng: Generator) -> Posed:
    girth, belly = 0.21 * breed.girth, -0.38 * breed.legs
    top, step = belly - 2 * girth, rng.uniform(-0.14, 0.14, 4)
    outline = [(-0.6, top + girth), (-0.5, top + 0.03), (-0.1, top + 0.04), (0.35, top), (0.52, top + 0.16)]
    outline += [(0.48, belly - 0.05), (0.3, belly + 0.02), (-0.1, belly - 0.03), (-0.4, belly - 0.07)]
    hips = (-0.46, -0.3, 0.28, 0.4)
    body = [
        *_leg(breed, coat, (hips[1], belly - 0.1), (hips[1] + step[0], -0.03), 0.75),
        *_leg(breed, coat, (hips[2], belly - 0.1), (hips[2] + step[1], -0.03), 0.75),
        _tail(breed, coat, (-0.54, top + 0.12), rng),
        Shape(_curve(outline)),
        *_leg(breed, coat, (hips[0], belly - 0.08), (hips[0] + step[2], 0)),
        *_leg(breed, coat, (hips[3], belly - 0.08), (hips[3] + step[3], 0)),
        Shape(_tube((0.36, top + 0.2), (0.5, top), (0.56, top - 0.16), (0.21 * breed.girth, 0.16))),
        Shape(_tube((0.54, top), (0.55, top + 0.12), (0.46, top + 0.3), (0.08, 0.05)), coat.pale, rim=False),
    ]
    return body, (0.6 + rng.uniform(-0.04, 0.06), top - rng.uniform(0.12, 0.26))


def _sitting(breed: Breed, coat: Coat, rng: Generator) -> Posed:
    wide, top = 0.4 + 0.6 * breed.girth, -0.7 - 0.25 * breed.legs
    outline = [(0.05, top), (0.25, 0.86 * top), (0.34, 0.5 * top), (0.3, -0.1), (0.05, 0), (-0.35, 0)]
    outline += [(-0.52, -0.16), (-0.46, 0.45 * top), (-0.24, 0.8 * top)]
    chest = [(0.08, 0.95 * top), (0.25, 0.8 * top), (0.31, 0.5 * top), (0.18, 0.32 * top), (0.05, 0.55 * top)]
    body = [
        _tail(breed, coat, (-0.4 * wide, -0.1), rng),
        Shape(_curve(outline) * (wide, 1)),
        Shape(_curve(chest) * (wide, 1), coat.pale, rim=False),
        *_leg(breed, coat, (0.27 * wide, 0.42 * top), (0.3 * wide, -0.02), 0.88),
        Shape(_ellipse(-0.25 * wide, -0.23, 0.25 * wide, 0.23)),
        *_leg(breed, coat, (0.08 * wide, 0.45 * top), (0.1 * wide, 0)),
        *_leg(breed, coat, (-0.22 * wide, -0.07), (-0.08 * wide, 0)),
    ]
    return body, (0.1 + rng.uniform(-0.04, 0.08), top - rng.uniform(0.08, 0.18))


def _lying(breed: Breed, coat: Coat, rng: Generator) -> Posed:
    high, reach = 0.4 + 0.6 * breed.girth, rng.uniform(0.55, 0.85)
    outline = [(-0.7, -0.12), (-0.62, -0.36), (-0.25, -0.47), (0.15, -0.45), (0.4, -0.5), (0.52, -0.3)]
    outline += [(0.46, -0.02), (0, 0), (-0.55, 0)]
    body = [
        _tail(breed, coat, (-0.6, -0.1), rng),
        *_leg(breed, coat, (0.34, -0.14), (reach + 0.08, -0.05), 0.8),
        Shape(_curve(outline) * (1, high)),
        Shape(_ellipse(-0.42, -0.19, 0.26, 0.2 * high)),
        *_leg(breed, coat, (-0.4, -0.06), (-0.2, 0)),
        *_leg(breed, coat, (0.3, -0.1), (reach, 0)),
    ]
    return body, (0.42 + rng.uniform(-0.06, 0.1), -rng.uniform(0.5, 0.66) * high)


def _portrait(breed: Breed, coat: Coat, rng: Generator) -> Posed:
    wide = 0.5 + 0.5 * breed.girth
    outline = [(0.16, -0.2), (0.3, 0.05), (0.42, 0.4), (0.44, 0.9), (0.2, 1.0)]
    chest = [(0.1, 0.1), (0.18, 0.3), (0.14, 0.6), (0.06, 0.75)]
    body = [
        Shape(_symmetric(outline) * (wide, 1)),
        Shape(_symmetric(chest) * (wide, 1), coat.pale, rim=False),
    ]
    return body, (rng.uniform(-0.06, 0.06), -0.1)


POSES: dict[str, Callable[[Breed, Coat, Generator], Posed]] = {
    "standing": _standing,
    "sitting": _sitting,
    "lying": _lying,
    "portrait": _portrait,
}


def _head_fur(breed: Breed, coat: Coat) -> Colour | None:
    return coat.fur if breed.pattern == "saddle" else None


def _ears(breed: Breed, coat: Coat) -> list[Shape]:
    size = breed.ear_size
    if breed.ears == "floppy":
        outline = [(0.4, -0.8), (0.8, -0.72), (1.05, -0.25), (1.1, 0.5 * size - 0.1), (0.88, 0.75 * size - 0.1)]
        outline += [(0.7, 0.3 * size - 0.1), (0.6, -0.3)]
        hanging = _shade(coat.fur, 0.82) if breed.pattern == "solid" else coat.mark
        return [Shape(_curve(outline) * (side, 1), hanging) for side in (-1, 1)]
    tip = -0.85 - 0.55 * size
    outer = [(0.12, -0.6), (0.4, -1.0), (0.66, tip), (0.76, tip + 0.04), (0.92, -0.75), (0.95, -0.2), (0.5, -0.4)]
    inner = (_curve(outer) - (0.66, -0.6)) * (0.55, 0.72) + (0.67, -0.6)
    colour = coat.mark if breed.face == "points" else _head_fur(breed, coat)
    shapes = [Shape(_curve(outer) * (side, 1), colour) for side in (-1, 1)]
    return shapes + [Shape(inner * (side, 1), (205, 150, 140), rim=False, furry=False) for side in (-1, 1)]


def _face_marks(breed: Breed, coat: Coat, muzzle: Points) -> list[Shape]:
    if breed.face == "points":
        return [Shape(_ellipse(0, 0.15, 0.62, 0.62), coat.mark, rim=False)]
    if breed.face == "mask":
        return [Shape(muzzle * 1.12 + (0, -0.08), coat.mark, rim=False)]
    blaze = [Shape(_tube((0, -0.75), (0, -0.2), (0, 0.4), (0.08, 0.22)), coat.pale, rim=False)]
    return (blaze if breed.face == "blaze" else []) + [Shape(muzzle, coat.pale, rim=False)]


def _eyes(breed: Breed, coat: Coat, asleep: bool) -> list[Shape]:
    pupil = (0.065, 0.15) if breed.species == "Cat" else (0.1, 0.11)
    parts: list[tuple[Points, Colour]] = []
    for x in (-0.38, 0.38):
        lid = _tube((x - 0.17, -0.1), (x, 0.06), (x + 0.17, -0.1), (0.035, 0.035))
        open_eye = [
            (_ellipse(x, -0.08, 0.2, 0.2), DARK),
            (_ellipse(x, -0.08, 0.165, 0.17), coat.eye),
            (_ellipse(x, -0.08, *pupil), (18, 14, 16)),
            (_ellipse(x + 0.06, -0.15, 0.045, 0.045), (255, 255, 255)),
        ]
        parts += [(lid, DARK)] if asleep else open_eye
    return [Shape(points, colour, furry=False) for points, colour in parts]


def _snout(breed: Breed, rng: Generator) -> list[Shape]:
    cat = breed.species == "Cat"
    nose = [(0.13, 0.24), (0, 0.4), (-0.13, 0.24)] if cat else [(0.2, 0.22), (0.16, 0.4), (-0.16, 0.4), (-0.2, 0.22)]
    lip = 0.5 if cat else 0.58
    parts = [(_ellipse(0.04, 0.72, 0.13, 0.2), (214, 110, 118))] if not cat and rng.random() < 0.35 else []
    for side in (-1, 1):
        parts.append((_tube((0, 0.36), (side * 0.02, lip + 0.08), (side * 0.26, lip), (0.022, 0.022)), DARK))
    parts.append((_curve(nose), (190, 120, 118) if cat and rng.random() < 0.6 else DARK))
    return [Shape(points, colour, rim=False, furry=False) for points, colour in parts]


def _head(breed: Breed, coat: Coat, centre: tuple[float, float], rng: Generator) -> list[Shape]:
    """The head, seen from the front, turned and tilted a little."""
    cat = breed.species == "Cat"
    skull = [(0.3, -0.82), (0.75, -0.6), (0.98, -0.02), (0.84, 0.45), (0.45, 0.8), (0.12, 0.87)]
    muzzle = _symmetric([(0.1, 0.16), (0.36, 0.32), (0.36, 0.6), (0.12, 0.78)])
    if not cat:
        skull = [(0.3, -0.85), (0.7, -0.66), (0.84, -0.1), (0.7, 0.4), (0.5, 0.8), (0.2, 0.98)]
        muzzle = _symmetric([(0.1, 0.0), (0.36, 0.2), (0.46, 0.6), (0.2, 0.9)])
    turn, tilt = rng.uniform(-0.16, 0.16), rng.normal(0, 0.12)
    details = [*_face_marks(breed, coat, muzzle), *_eyes(breed, coat, rng.random() < 0.1), *_snout(breed, rng)]
    details = [replace(shape, points=np.add(shape.points, (turn, 0))) for shape in details]
    ears = _ears(breed, coat)
    front = [Shape(_symmetric(skull), _head_fur(breed, coat))]
    shapes = front + ears + details if breed.ears == "floppy" else ears + front + details
    radius = rng.uniform(0.27, 0.33) * (0.9 + 0.1 * breed.girth)
    return _placed(shapes, _rotation(tilt) * radius, np.array(centre))


def _pose_pet(breed: Breed, coat: Coat, pose: str, rng: Generator) -> tuple[list[Shape], list[Shape]]:
    """The shapes of body and head in the animal's frame, their fur ruffled."""
    body, centre = POSES[pose](breed, coat, rng)
    tuft = 0.004 + 0.03 * breed.fluff
    body, head = (
        [replace(shape, points=_ruffle(shape.points, tuft, rng)) if shape.furry else shape for shape in shapes]
        for shapes in (body, _head(breed, coat, centre, rng))
    )
    return body, head


def _markings(pattern: str, shapes: list[Shape], rng: Generator) -> list[Points]:
    """Outlines of the coat's markings all over the area that the shapes cover."""
    (left, top), (right, bottom) = low, high = _bounds(shapes)
    if pattern == "tabby":
        middle = (top + bottom) / 2
        stripes = np.arange(left, right, 0.1)[:, None] + rng.normal(0, 0.06, (int(np.ceil((right - left) / 0.1)), 3))
        return [_tube((a, top), (b, middle), (c, bottom), (0.02, 0.03)) for a, b, c in stripes]
    if pattern == "spotted":
        grid = np.mgrid[left:right:0.13, top:bottom:0.12].reshape(2, -1).T
        spot = _ellipse(0, 0, 0.038, 0.028)[::4]
        return [_curve(spot + rng.normal(0, 0.006, (7, 2)) + rng.normal(centre, 0.025)) for centre in grid]
    if pattern == "patched":
        patch = _ellipse(0, 0, 0.2, 0.2)[::4]
        return [_curve(patch + rng.normal(centre, 0.07, (7, 2))) for centre in rng.uniform(low, high, (6, 2))]
    if pattern == "saddle":
        return [_ruffle(_ellipse(-0.2, -0.72, 0.46, 0.42), 0.03, rng)]
    return []


# --- the scene -----------------------------------------------------------------------------------------------------

FABRICS = ("#b9a58a", "#8c8f94", "#7a5a43", "#d9cbb4", "#3f3c40", "#a4634a", "#6c7f8f", "#c79a5e", "#e8e2d6", "#75836a")
GREENS = ("#7fa650", "#5f8a45", "#98ad5a", "#4d7040")
EARTHS = ("#c9b26a", "#94804f", "#b98d4e", "#8a6a4a", "#d8c9a8", "#e6ebee")
VIVIDS = ("#3f7fb5", "#c2473d", "#4f9a6a", "#e0b13c", "#7a5aa6", "#d77a9b")
WOODS = ("#b98a5a", "#8b5f3c", "#d3b083", "#6b4a33", "#9b958c")


def _prop_colour(rng: Generator) -> Colour:
    """More often than not a colour that some animal wears too."""
    furs = BREEDS[rng.integers(len(BREEDS))].coat.split()
    return _tint(rng, *(furs if rng.random() < 0.6 else VIVIDS))


def _paint_field(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    horizon, ground = height * rng.uniform(0.08, 0.5), _tint(rng, *GREENS, *EARTHS)
    draw.rectangle((0, 0, width, height), _tint(rng, "#a9cfe8", "#dfe6ea", "#f1d3a6", "#8fb3cf"))
    for _ in range(4):
        x, rx, ry = width * rng.random(), width * rng.uniform(0.15, 0.5), height * rng.uniform(0.05, 0.3)
        _polygon(draw, _ellipse(x, horizon, rx, ry), _tint(rng, *GREENS, *EARTHS))
    draw.rectangle((0, horizon, width, height), ground)
    for y in np.sort(rng.uniform(horizon, height * 1.05, 100)).tolist():
        x, tall = width * rng.random(), (0.02 + 0.06 * (y - horizon) / height) * height
        blade = (x - tall * 0.07, y, x + tall * 0.07, y, x + tall * rng.normal(0, 0.4), y - tall)
        draw.polygon(blade, _shade(ground, rng.uniform(0.7, 1.25)))


def _paint_room(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    wall, skirting, wood = _tint(rng, *FABRICS), height * rng.uniform(0.4, 0.8), _tint(rng, *WOODS)
    draw.rectangle((0, 0, width, height), wall)
    if rng.random() < 0.6:
        pitch = width * rng.uniform(0.06, 0.2)
        for x in np.arange(0, width, pitch).tolist():
            draw.rectangle((x, 0, x + pitch * 0.5, skirting), _shade(wall, 0.9))
    x, y, wide = width * rng.uniform(-0.1, 0.8), height * rng.uniform(0.02, 0.2), width * rng.uniform(0.15, 0.4)
    draw.rectangle((x, y, x + wide, y + wide * 0.8), _tint(rng, *WOODS))
    draw.rectangle((x + wide * 0.08, y + wide * 0.08, x + wide * 0.92, y + wide * 0.72), _prop_colour(rng))
    draw.rectangle((0, skirting, width, height), wood)
    draw.rectangle((0, skirting - height * 0.03, width, skirting), _shade(wall, 1.15))
    vanish = width * rng.uniform(0.2, 0.8)
    for x in np.linspace(-2 * width, 3 * width, 30).tolist():
        start = (vanish + (x - vanish) * 0.45, skirting)
        draw.line((*start, x, height), _shade(wood, rng.uniform(0.75, 0.9)), max(1, int(width / 160)))


def _paint_sofa(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    cover, seat = _prop_colour(rng) if rng.random() < 0.5 else _tint(rng, *FABRICS), height * rng.uniform(0.5, 0.8)
    draw.rectangle((0, 0, width, height), _tint(rng, *FABRICS))
    count, back = int(rng.integers(2, 5)), height * rng.uniform(0.0, 0.25)
    for column in range(-1, count + 1):
        left, wide = (column + rng.uniform(-0.1, 0.1)) * width / count, width / count
        box = (left, back, left + wide * 0.99, height)
        draw.rounded_rectangle(box, wide * 0.18, _shade(cover, rng.uniform(0.88, 1.02)), _shade(cover, 0.6), 3)
        draw.ellipse((left + wide * 0.46, seat * 0.6, left + wide * 0.54, seat * 0.6 + wide * 0.08), _shade(cover, 0.7))
    draw.rounded_rectangle((-width * 0.1, seat, width * 1.1, height * 1.2), height * 0.06, cover, _shade(cover, 0.6), 3)


def _paint_carpet(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    ground, inks = _tint(rng, *FABRICS), [_tint(rng, *FABRICS), _prop_colour(rng)]
    draw.rectangle((0, 0, width, height), ground)
    pitch, corners = max(width, height) * rng.uniform(0.09, 0.22), int(rng.choice([3, 4, 6, 28]))
    turn, angle = _rotation(rng.uniform(0, np.pi)), np.linspace(0, 2 * np.pi, corners, endpoint=False)
    motif = np.stack([np.cos(angle), np.sin(angle)], 1) * pitch * rng.uniform(0.3, 0.55)
    cells = np.mgrid[-12:13, -12:13].reshape(2, -1).T
    centres = (cells + 0.5 * (cells[:, 1:] % 2) * (1, 0)) @ turn.T * pitch + (width / 2, height / 2)
    seen = np.all((centres > -pitch) & (centres < (width + pitch, height + pitch)), axis=1)
    for (_, row), centre in zip(cells[seen], centres[seen], strict=True):
        _polygon(draw, motif @ turn.T + centre, inks[row % 2])
        _polygon(draw, motif @ turn.T * 0.5 + centre, inks[(row + 1) % 2])


def _paint_garden(draw: ImageDraw.ImageDraw, width: float, height: float, rng: Generator) -> None:
    base, path = _tint(rng, *GREENS), height * rng.uniform(0.55, 0.95)
    draw.rectangle((0, 0, width, height), _shade(base, 0.6))
    fence, leaf = _tint(rng, *WOODS), max(width, height) * rng.uniform(0.02, 0.05)
    if rng.random() < 0.5:
        for x in np.arange(0, width, width * 0.13).tolist():
            draw.rectangle((x, height * 0.1, x + width * 0.11, path), _shade(fence, rng.uniform(0.85, 1.05)))
    for x, y in (rng.uniform(-0.05, 1.05, (100, 2)) * (width, path)).tolist():
        colour = _shade(base, rng.uniform(0.6, 1.3)) if rng.random() < 0.9 else _prop_colour(rng)
        _polygon(draw, _ellipse(0, 0, leaf, leaf * 0.55) @ _rotation(rng.uniform(0, 3)) + (x, y), colour)
    draw.rectangle((0, path, width, height), _tint(rng, *EARTHS))
    for x, y in (rng.random((25, 2)) * (width, height - path) + (0, path)).tolist():
        _polygon(draw, _ellipse(x, y, leaf, leaf * 0.5), _tint(rng, *EARTHS))


SCENES: dict[str, Callable[[ImageDraw.ImageDraw, float, float, Generator], None]] = {
    "field": _paint_field,
    "room": _paint_room,
    "sofa": _paint_sofa,
    "carpet": _paint_carpet,
    "garden": _paint_garden,
}


def _paint_ball(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, rng: Generator) -> None:
    colour = _prop_colour(rng)
    _polygon(draw, _ellipse(x, y - size * 0.5, size * 0.5, size * 0.5), colour)
    _polygon(draw, _ellipse(x, y - size * 0.5, size * 0.18, size * 0.5), _shade(colour, 0.75))
    _polygon(draw, _ellipse(x - size * 0.15, y - size * 0.7, size * 0.12, size * 0.1), _shade(colour, 1.3))


def _paint_cushion(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, rng: Generator) -> None:
    colour, ink = _prop_colour(rng), _prop_colour(rng)
    half, turn = size * 0.75, _rotation(rng.uniform(-0.4, 0.4))
    corners = np.array([(-1, -1), (0, -0.85), (1, -1), (0.88, 0), (1, 1), (0, 0.88), (-1, 1), (-0.88, 0)]) * half
    _polygon(draw, _curve(corners) @ turn + (x, y - half), colour)
    for stripe in np.linspace(-0.6, 0.6, int(rng.integers(1, 6))).tolist():
        band = _tube((stripe * half, -0.8 * half), (stripe * half, 0), (stripe * half, 0.8 * half), (size * 0.05,) * 2)
        _polygon(draw, band @ turn + (x, y - half), ink)


def _paint_plant(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, rng: Generator) -> None:
    for angle in rng.normal(0, 0.6, 9).tolist():
        tip = (x + np.sin(angle) * size * 1.6, y - size * 0.6 - np.cos(angle) * size * 1.3)
        leaf = _tube((x, y - size * 0.6), (x, y - size * 1.3), tip, (size * 0.14, size * 0.04))
        _polygon(draw, leaf, _tint(rng, *GREENS, "#8f7a4a"))
    pot = np.array([(-0.42, -0.8), (0.42, -0.8), (0.3, 0), (-0.3, 0)]) * size + (x, y)
    _polygon(draw, pot, _prop_colour(rng))


def _paint_post(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, rng: Generator) -> None:
    rope, half, tall = _prop_colour(rng), size * 0.25, size * rng.uniform(1.5, 3.5)
    draw.rectangle((x - half, y - tall, x + half, y), rope)
    for level in np.arange(y - tall, y, size * 0.14).tolist():
        draw.line((x - half, level, x + half, level + size * 0.05), _shade(rope, 0.78), max(1, int(size * 0.04)))
    draw.rounded_rectangle((x - size * 0.7, y - size * 0.15, x + size * 0.7, y), size * 0.06, _tint(rng, *FABRICS))


PROPS = (_paint_ball, _paint_cushion, _paint_plant, _paint_post)


def _paint_scene(scene: str, size: tuple[int, int], rng: Generator) -> Image.Image:
    """The scene and up to four things that stand about in it."""
    width, height = size
    picture = Image.new("RGB", size)
    draw, veil = ImageDraw.Draw(picture), ImageDraw.Draw(picture, "RGBA")
    SCENES[scene](draw, width, height, rng)
    for y in np.sort(rng.uniform(0.5, 1.1, rng.integers(1, 5))).tolist():
        x, extent = rng.random() * width, rng.uniform(0.12, 0.34) * min(width, height)
        _polygon(veil, _ellipse(x, y * height, extent * 0.8, extent * 0.12), (20, 18, 24, 80))
        PROPS[rng.integers(len(PROPS))](draw, x, y * height, extent, rng)
    return picture


# --- the picture ---------------------------------------------------------------------------------------------------


def _paint_coat(coat: Coat, markings: list[Points], size: tuple[int, int]) -> Image.Image:
    """A picture full of fur, the markings where the animal will be."""
    picture = Image.new("RGB", size, coat.fur)
    draw = ImageDraw.Draw(picture)
    for outline in markings:
        _polygon(draw, outline, coat.mark)
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
        _polygon(on_flat, shape.points * 2, shape.colour or coat.fur)
        _polygon(on_layers, shape.points * 2, (255, 0 if shape.colour else 255, 0))
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
    matrix = _rotation(rng.normal(0, 0.07)) * (rng.choice([-1, 1]), 1)
    (low, high), (head_low, head_high) = (
        _bounds(_placed(shapes, matrix, np.zeros(2))) for shapes in (body + head, head)
    )
    extent = (high - low) * (1, 1 - cut)
    scale = rng.triangular(0.6, 1.0, 1.4) * np.min(size / extent)
    place = rng.beta((2, 4), 2) if cut == 0 else np.array([rng.beta(2, 2), 1])
    offset = (size - scale * extent) * place - scale * low
    offset -= np.minimum(scale * head_low + offset, 0)
    offset -= np.maximum(scale * head_high + offset - size, 0)
    return matrix * scale, offset


def _trimap(opacity: Pixels) -> NDArray[np.uint8]:
    """Classes by the silhouette, blurred: a band along its outline, and whatever is thinner than it, is border."""
    silhouette = Image.fromarray(np.where(opacity >= 0.5, np.uint8(255), np.uint8(0)))
    blurred = np.asarray(silhouette.filter(ImageFilter.GaussianBlur(BORDER_WIDTH * _unit(silhouette.size))))
    # A straight edge blurred to 255 · 0.84 lies one standard deviation inside the outline, to 255 · 0.16 one outside.
    inside = np.where(blurred > 214, np.uint8(PET), np.uint8(BORDER))
    return np.where(blurred < 41, np.uint8(BACKGROUND), inside)


def _paint_background(scene: str, shapes: list[Shape], size: tuple[int, int], rng: Generator) -> Pixels:
    """The textured scene with the animal's shadow: RGB [height, width, 3]."""
    picture = _paint_scene(scene, (2 * size[0], 2 * size[1]), rng)
    (left, _), (right, bottom) = _bounds(shapes)
    draw, wide = ImageDraw.Draw(picture, "RGBA"), right - left
    for spread in np.linspace(0.36, 0.58, 7).tolist():
        shadow = _ellipse((left + right) / 2, bottom - wide * 0.03, wide * spread, wide * spread * 0.16)
        _polygon(draw, 2 * shadow, (20, 18, 24, 20))
    weave = np.ones(size[::-1], np.float32)
    for amount, *divisions in rng.uniform((0.02, 12, 12), (0.08, 120, 120), (2, 3)).tolist():
        grain = (_unit(size) / divisions[0], _unit(size) / divisions[1])
        weave += np.float32(amount) * _texture(size, grain, rng)
    return np.asarray(picture.reduce(2), np.float32) * weave[..., None]


def _lit(picture: Pixels, rng: Generator) -> NDArray[np.uint8]:
    """The picture under light that falls off to one side, has a tint, and leaves a little noise."""
    height, width = picture.shape[:2]
    across, down = rng.uniform(-0.2, 0.2, 2)
    gradient = 1 + across * np.linspace(-1, 1, width) + down * np.linspace(-1, 1, height)[:, None]
    warmth = rng.uniform(0.85, 1.1) * rng.normal(1, 0.03, 3)
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
    coat = _dress(breed, rng)
    body, head = _pose_pet(breed, coat, pose, rng)
    cut = rng.uniform(0.15, 0.45) if pose == "portrait" else 0.0
    matrix, offset = _frame(body, head, cut, size, rng)
    markings = [outline @ matrix.T + offset for outline in _markings(breed.pattern, body + head, rng)]
    body, head = _placed(body, matrix, offset), _placed(head, matrix, offset)
    pet, opacity = _paint_pet(body + head, coat, _paint_coat(coat, markings, size), rng)
    background = _paint_background(scene, body + head, size, rng)
    background += (pet - background) * opacity[..., None]
    image = _lit(background, rng)
    (left, top), (right, bottom) = np.clip(np.divide(_bounds(head), size), 0, 1).tolist()
    return image, _trimap(opacity), PetAttributes(breed.name, breed.species, pose, scene, (top, left, bottom, right))
