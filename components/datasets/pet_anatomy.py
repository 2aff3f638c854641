"""The animals: the outlines that they are made of, the 37 breeds of `oxford_iiit_pet` in its order, poses and heads.

An animal is a list of `Shape`s in its own frame: facing right, feet at y = 0, y down, a body about 1 long.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from PIL import ImageColor, ImageDraw

Points = NDArray[np.float64]
Colour = tuple[int, int, int]


DARK: Colour = (42, 30, 30)

_T = np.linspace(0, 1, 8, endpoint=False)[:, None]
_CATMULL_ROM = _T ** (0, 1, 2, 3) @ [(0, 1, 0, 0), (-0.5, 0, 0.5, 0), (1, -2.5, 2, -0.5), (-0.5, 1.5, -1.5, 0.5)]
_ANGLE = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], 1)
_U = (1 - np.cos(np.linspace(0, np.pi, 20)))[:, None] / 2  # dense at both ends, which are round
_BEZIER = np.hstack([(1 - _U) ** 2, 2 * _U * (1 - _U), _U**2])
_BEZIER_SLOPE = np.hstack([_U - 1, 1 - 2 * _U, _U])
_TAPER = np.hstack([1 - _U, _U]) * np.sqrt(1 - (2 * _U - 1) ** 8)


@dataclass(frozen=True)
class Shape:
    """A filled outline of an animal. Without a colour it shows the coat; `light` below 1 darkens it."""

    points: Points
    colour: Colour | None = None
    light: float = 1.0
    rim: bool = True  # a soft dark edge sets it off from what lies behind
    furry: bool = True  # its edge is ruffled by tufts of fur


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


@dataclass(frozen=True)
class Coat:
    """One animal's colours, varied within its breed."""

    fur: Colour
    pale: Colour
    mark: Colour
    eye: Colour


Posed = tuple[list[Shape], tuple[float, float]]  # the shapes of the body, back to front, and the head's centre


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


def dress(breed: Breed, rng: Generator) -> Coat:
    """The coat of one animal of the breed."""
    gain = random_gain(rng)
    fur, pale, mark = (varied(colour, gain) for colour in breed.coat.split())
    eyes = {"Cat": ("#c9a13b", "#86a34a", "#b5742c"), "Dog": ("#5a3a22", "#3c2a1d")}[breed.species]
    return Coat(fur, pale, mark, tint(rng, *(("#7fb6d9",) if breed.face == "points" else eyes)))


def pose_pet(breed: Breed, coat: Coat, pose: str, rng: Generator) -> tuple[list[Shape], list[Shape]]:
    """The shapes of body and head in the animal's frame, their fur ruffled."""
    body, centre = POSES[pose](breed, coat, rng)
    tuft = 0.004 + 0.03 * breed.fluff
    body, head = (
        [replace(shape, points=ruffle(shape.points, tuft, rng)) if shape.furry else shape for shape in shapes]
        for shapes in (body, _head(breed, coat, centre, rng))
    )
    return body, head


def coat_markings(pattern: str, shapes: list[Shape], rng: Generator) -> list[Points]:
    """Outlines of the coat's markings all over the area that the shapes cover."""
    (left, top), (right, bottom) = low, high = bounds(shapes)
    if pattern == "tabby":
        middle = (top + bottom) / 2
        stripes = np.arange(left, right, 0.1)[:, None] + rng.normal(0, 0.06, (int(np.ceil((right - left) / 0.1)), 3))
        return [tube((a, top), (b, middle), (c, bottom), (0.02, 0.03)) for a, b, c in stripes]
    if pattern == "spotted":
        grid = np.mgrid[left:right:0.13, top:bottom:0.12].reshape(2, -1).T
        spot = ellipse(0, 0, 0.038, 0.028)[::4]
        return [curve(spot + rng.normal(0, 0.006, (7, 2)) + rng.normal(centre, 0.025)) for centre in grid]
    if pattern == "patched":
        patch = ellipse(0, 0, 0.2, 0.2)[::4]
        return [curve(patch + rng.normal(centre, 0.07, (7, 2))) for centre in rng.uniform(low, high, (6, 2))]
    if pattern == "saddle":
        return [ruffle(ellipse(-0.2, -0.72, 0.46, 0.42), 0.03, rng)]
    return []


def _tail(breed: Breed, coat: Coat, root: tuple[float, float], rng: Generator) -> Shape:
    cat = breed.species == "Cat"
    angle, length = rng.uniform(-0.3, 1.5), rng.uniform(0.6, 0.9) if cat else rng.uniform(0.3, 0.55)
    tip = np.add(root, (-length * np.cos(angle), -length * np.sin(angle)))
    bend = (np.add(root, tip) / 2) + rng.uniform(-0.35, 0.35) * np.array([-np.sin(angle), np.cos(angle)])
    width = 0.055 + 0.07 * breed.fluff
    outline = tube(root, bend, tip, (width, width * (0.9 if cat else 0.5 + 0.6 * breed.fluff)))
    return Shape(outline, coat.mark if breed.face == "points" else None)


def _leg(
    breed: Breed, coat: Coat, hip: tuple[float, float], foot: tuple[float, float], light: float = 1.0
) -> list[Shape]:
    """A leg that bends a little, and its paw."""
    knee = ((hip[0] + foot[0]) / 2 + 0.04, (hip[1] + foot[1]) / 2)
    width = 0.075 * (0.6 + 0.4 * breed.girth) * (1 + 0.4 * breed.fluff)
    paw = {"points": coat.mark, "blaze": coat.pale}.get(breed.face)
    return [
        Shape(tube(hip, knee, (foot[0], foot[1] - 0.03), (width * 1.4, width)), light=light),
        Shape(ellipse(foot[0] + 0.04, foot[1] - 0.05, width * 1.35, 0.06), paw and shade(paw, light), light),
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
        Shape(curve(outline)),
        *_leg(breed, coat, (hips[0], belly - 0.08), (hips[0] + step[2], 0)),
        *_leg(breed, coat, (hips[3], belly - 0.08), (hips[3] + step[3], 0)),
        Shape(tube((0.36, top + 0.2), (0.5, top), (0.56, top - 0.16), (0.21 * breed.girth, 0.16))),
        Shape(tube((0.54, top), (0.55, top + 0.12), (0.46, top + 0.3), (0.08, 0.05)), coat.pale, rim=False),
    ]
    return body, (0.6 + rng.uniform(-0.04, 0.06), top - rng.uniform(0.12, 0.26))


def _sitting(breed: Breed, coat: Coat, rng: Generator) -> Posed:
    wide, top = 0.4 + 0.6 * breed.girth, -0.7 - 0.25 * breed.legs
    outline = [(0.05, top), (0.25, 0.86 * top), (0.34, 0.5 * top), (0.3, -0.1), (0.05, 0), (-0.35, 0)]
    outline += [(-0.52, -0.16), (-0.46, 0.45 * top), (-0.24, 0.8 * top)]
    chest = [(0.08, 0.95 * top), (0.25, 0.8 * top), (0.31, 0.5 * top), (0.18, 0.32 * top), (0.05, 0.55 * top)]
    body = [
        _tail(breed, coat, (-0.4 * wide, -0.1), rng),
        Shape(curve(outline) * (wide, 1)),
        Shape(curve(chest) * (wide, 1), coat.pale, rim=False),
        *_leg(breed, coat, (0.27 * wide, 0.42 * top), (0.3 * wide, -0.02), 0.88),
        Shape(ellipse(-0.25 * wide, -0.23, 0.25 * wide, 0.23)),
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
        Shape(curve(outline) * (1, high)),
        Shape(ellipse(-0.42, -0.19, 0.26, 0.2 * high)),
        *_leg(breed, coat, (-0.4, -0.06), (-0.2, 0)),
        *_leg(breed, coat, (0.3, -0.1), (reach, 0)),
    ]
    return body, (0.42 + rng.uniform(-0.06, 0.1), -rng.uniform(0.5, 0.66) * high)


def _portrait(breed: Breed, coat: Coat, rng: Generator) -> Posed:
    wide = 0.5 + 0.5 * breed.girth
    outline = [(0.16, -0.2), (0.3, 0.05), (0.42, 0.4), (0.44, 0.9), (0.2, 1.0)]
    chest = [(0.1, 0.1), (0.18, 0.3), (0.14, 0.6), (0.06, 0.75)]
    body = [
        Shape(symmetric(outline) * (wide, 1)),
        Shape(symmetric(chest) * (wide, 1), coat.pale, rim=False),
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
        hanging = shade(coat.fur, 0.82) if breed.pattern == "solid" else coat.mark
        return [Shape(curve(outline) * (side, 1), hanging) for side in (-1, 1)]
    tip = -0.85 - 0.55 * size
    outer = [(0.12, -0.6), (0.4, -1.0), (0.66, tip), (0.76, tip + 0.04), (0.92, -0.75), (0.95, -0.2), (0.5, -0.4)]
    inner = (curve(outer) - (0.66, -0.6)) * (0.55, 0.72) + (0.67, -0.6)
    colour = coat.mark if breed.face == "points" else _head_fur(breed, coat)
    shapes = [Shape(curve(outer) * (side, 1), colour) for side in (-1, 1)]
    return shapes + [Shape(inner * (side, 1), (205, 150, 140), rim=False, furry=False) for side in (-1, 1)]


def _face_marks(breed: Breed, coat: Coat, muzzle: Points) -> list[Shape]:
    if breed.face == "points":
        return [Shape(ellipse(0, 0.15, 0.62, 0.62), coat.mark, rim=False)]
    if breed.face == "mask":
        return [Shape(muzzle * 1.12 + (0, -0.08), coat.mark, rim=False)]
    blaze = [Shape(tube((0, -0.75), (0, -0.2), (0, 0.4), (0.08, 0.22)), coat.pale, rim=False)]
    return (blaze if breed.face == "blaze" else []) + [Shape(muzzle, coat.pale, rim=False)]


def _eyes(breed: Breed, coat: Coat, asleep: bool) -> list[Shape]:
    pupil = (0.065, 0.15) if breed.species == "Cat" else (0.1, 0.11)
    parts: list[tuple[Points, Colour]] = []
    for x in (-0.38, 0.38):
        lid = tube((x - 0.17, -0.1), (x, 0.06), (x + 0.17, -0.1), (0.035, 0.035))
        open_eye = [
            (ellipse(x, -0.08, 0.2, 0.2), DARK),
            (ellipse(x, -0.08, 0.165, 0.17), coat.eye),
            (ellipse(x, -0.08, *pupil), (18, 14, 16)),
            (ellipse(x + 0.06, -0.15, 0.045, 0.045), (255, 255, 255)),
        ]
        parts += [(lid, DARK)] if asleep else open_eye
    return [Shape(points, colour, furry=False) for points, colour in parts]


def _snout(breed: Breed, rng: Generator) -> list[Shape]:
    cat = breed.species == "Cat"
    nose = [(0.13, 0.24), (0, 0.4), (-0.13, 0.24)] if cat else [(0.2, 0.22), (0.16, 0.4), (-0.16, 0.4), (-0.2, 0.22)]
    lip = 0.5 if cat else 0.58
    parts = [(ellipse(0.04, 0.72, 0.13, 0.2), (214, 110, 118))] if not cat and rng.random() < 0.35 else []
    for side in (-1, 1):
        parts.append((tube((0, 0.36), (side * 0.02, lip + 0.08), (side * 0.26, lip), (0.022, 0.022)), DARK))
    parts.append((curve(nose), (190, 120, 118) if cat and rng.random() < 0.6 else DARK))
    return [Shape(points, colour, rim=False, furry=False) for points, colour in parts]


def _head(breed: Breed, coat: Coat, centre: tuple[float, float], rng: Generator) -> list[Shape]:
    """The head, seen from the front, turned and tilted a little."""
    cat = breed.species == "Cat"
    skull = [(0.3, -0.82), (0.75, -0.6), (0.98, -0.02), (0.84, 0.45), (0.45, 0.8), (0.12, 0.87)]
    muzzle = symmetric([(0.1, 0.16), (0.36, 0.32), (0.36, 0.6), (0.12, 0.78)])
    if not cat:
        skull = [(0.3, -0.85), (0.7, -0.66), (0.84, -0.1), (0.7, 0.4), (0.5, 0.8), (0.2, 0.98)]
        muzzle = symmetric([(0.1, 0.0), (0.36, 0.2), (0.46, 0.6), (0.2, 0.9)])
    turn, tilt = rng.uniform(-0.16, 0.16), rng.normal(0, 0.12)
    details = [*_face_marks(breed, coat, muzzle), *_eyes(breed, coat, rng.random() < 0.1), *_snout(breed, rng)]
    details = [replace(shape, points=np.add(shape.points, (turn, 0))) for shape in details]
    ears = _ears(breed, coat)
    front = [Shape(symmetric(skull), _head_fur(breed, coat))]
    shapes = front + ears + details if breed.ears == "floppy" else ears + front + details
    radius = rng.uniform(0.27, 0.33) * (0.9 + 0.1 * breed.girth)
    return placed(shapes, rotation(tilt) * radius, np.array(centre))
