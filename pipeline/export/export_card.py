"""What lies beside an optimized form: what it is, how to feed it, and what it costs."""

from typing import Any, Final

from pipeline.export.forms import Form
from pipeline.export.measurement import Measured
from pipeline.export.original import Original
from pipeline.installed_versions import installed_version

_OF_THE_MODEL: Final = ("class_names", "class_colors", "mask_values", "image_size", "model", "parameters")
_DECODING: Final = (
    "decode to RGB, 8 bits: gray is repeated, alpha is dropped, the image is turned by its EXIF orientation"
)
_DECODING_UNTURNED: Final = _DECODING.replace("the image is turned by its", "and nothing is turned by the")
_FURTHER_STEPS: Final = (
    "resize to image_size × image_size, whatever the proportions: bilinear with antialiasing, rounded to integers",
    "in float32, for each channel: (pixel - offset) * scale",
)


def export_card(
    original: Original,
    form: Form,
    calibration: dict[str, Any] | None,
    measured: tuple[dict[str, Any], Measured] | None,
) -> dict[str, Any]:
    """Returns what to write beside a form, as JSON takes it.

    Args:
      original: What the form was made of.
      form: The form.
      calibration: What it was calibrated on; None where it was not.
      measured: The data set, and what was measured on it; None where nothing was.
    """
    offset, scale = original.normalization()
    decoding = _DECODING if original.card.get("turns_images") else _DECODING_UNTURNED
    return {
        "optimization": form.optimization,
        "source": original.identity(),
        "petseg": installed_version("petseg"),
        "tensorflow": installed_version("tensorflow"),
        "bytes": form.bytes,
        **{name: original.card[name] for name in _OF_THE_MODEL},
        "tensors": form.tensors,
        "preparation": {"steps": (decoding, *_FURTHER_STEPS), "offset": offset, "scale": scale},
        "calibration": calibration,
        "measured": measured and _measured(form, *measured),
    }


def _measured(form: Form, dataset: dict[str, Any], measured: Measured) -> dict[str, Any]:
    return {
        "dataset": dataset,
        **measured.model_dump(include={"examples", "threads"}),
        "original": measured.original.model_dump(),
        "optimized": measured.forms[form.optimization].model_dump(),
    }
