"""The 37 breeds of `oxford_iiit_pet`, in its order, and how each is drawn."""

from dataclasses import dataclass


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
