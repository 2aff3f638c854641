"""`petseg predict`: masks and overlays of image files."""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from pipeline.output_capture import captured_output
from pipeline.output_streams import say
from trainer_module.errors import DataError


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--model", "model_dir", required=True, metavar="DIR", help="A model version, or the directory of versions."
)
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where to write; made if absent."
)
def predict(images: tuple[Path, ...], model_dir: str, out: Path) -> None:
    """Write the predicted mask and an overlay of each IMAGE (JPEG or PNG), at its own size, as viewers show it.

    NAME_mask.png holds the class ids, with a palette to look at; NAME_overlay.png the photo with the classes tinted.
    """
    _check_names(images)
    with captured_output(Path(os.devnull)) as (stdout, _):
        for path, shares in _predict(images, model_dir, out):
            say(f"{path}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()), stdout)
        say(f"wrote {2 * len(images)} pictures to {out}", stdout)


def _check_names(images: tuple[Path, ...]) -> None:
    """Refuses, before anything is loaded, missing files and names that would overwrite each other."""
    by_stem: dict[str, Path] = {}
    for path in images:
        if not path.is_file():
            raise DataError(f"there is no image file {str(path)!r}.")
        if path.stem in by_stem:
            raise DataError(
                f"{str(by_stem[path.stem])!r} and {str(path)!r} would both be written as {path.stem}_mask.png; "
                "predict them into different directories."
            )
        by_stem[path.stem] = path


def _predict(images: tuple[Path, ...], model_dir: str, out: Path) -> Iterator[tuple[Path, dict[str, float]]]:
    """Writes the pictures of each image, then yields it with the share of each class."""
    from pipeline.mask_images import overlay_image
    from pipeline.served_model import ServedModel
    from trainer_module.class_colors import mask_image
    from trainer_module.encoded_images import upright_image

    model = ServedModel.load(model_dir)
    names = model.card.class_names
    out.mkdir(parents=True, exist_ok=True)
    for path in images:
        content = path.read_bytes()
        class_ids = model.predict(content, str(path))
        overlay_image(upright_image(content), class_ids, names).save(out / f"{path.stem}_overlay.png")
        mask_image(class_ids, len(names)).save(out / f"{path.stem}_mask.png")
        yield path, {name: float((class_ids == class_id).mean()) for class_id, name in enumerate(names)}
