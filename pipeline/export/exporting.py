"""Makes optimized forms of a model, measures them, and puts them in their place when all may be.

Beside each form lies its card: what it is, how to feed it, and what it costs.
"""

import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from components.model_pusher.push import PushRecord, push, pushed_statistics
from pipeline.code_digest import installed_version
from pipeline.export.forms import Form, session_network, size
from pipeline.export.measurement import Examples, Measured, measure
from pipeline.export.request import CALIBRATED, ExportRequest, Optimization
from pipeline.models.loading import Original, read_card
from pipeline.terminal.streams import json_text
from trainer_module import features
from trainer_module.errors import ModelError

CARD_FILE: Final = "model.json"
_WRITING: Final = ".writing-"
_REPLACED: Final = ".replaced-"
_OF_THE_MODEL: Final = (
    "class_names",
    "class_colors",
    "mask_values",
    "ignore_values",
    "image_size",
    "flip_averaging",
    "model",
    "parameters",
)
_DECODING: Final = (
    "decode to RGB, 8 bits: gray is repeated, alpha is dropped, the image is turned by its EXIF orientation"
)
_DECODING_UNTURNED: Final = _DECODING.replace("the image is turned by its", "and nothing is turned by the")
_FURTHER_STEPS: Final = (
    "resize to image_size × image_size, whatever the proportions: bilinear with antialiasing, rounded to integers",
    "in float32, for each channel: (pixel - offset) * scale",
)

Progress = Callable[[str, int, int | None], None]
"""Called with what is done at the moment, and how much of how much; None: nobody knows."""


class ExportOutcome(BaseModel):
    """What came of an export."""

    model_config = ConfigDict(frozen=True)

    model: str
    """Directory of the original."""

    original_bytes: int
    form_bytes: dict[str, int]
    """Optimization to size."""

    dataset: dict[str, Any] | None = None
    """Name, version and split of what was measured on; None where nothing was."""

    measured: Measured | None = None
    refusals: tuple[str, ...] = ()
    """Why nothing was written."""

    written: dict[str, str] = {}
    """Optimization to directory."""


def export(request: ExportRequest, on_progress: Progress) -> ExportOutcome:
    """Makes forms of a model; where one loses more accuracy than it may, none is written.

    Raises:
      ConfigError: The data set, a split or a feature does not exist.
      DataError: The data cannot be used.
      ModelError: There is no model, it cannot be optimized, or a form does not answer as it must.
    """
    original = Original.load(request.model, flip_averaging=request.flip_averaging)
    examples = Examples.open(request.data, original) if request.data else None
    with tempfile.TemporaryDirectory(prefix="petseg-export-") as place:
        forms, calibration = _make(request, original, examples, Path(place), on_progress)
        outcome = ExportOutcome(
            model=str(original.directory),
            original_bytes=size(original.directory),
            form_bytes={form.optimization: form.bytes for form in forms},
        )
        if examples is not None:
            outcome = outcome.model_copy(update=_measure(original, forms, examples, on_progress))
        refusals = tuple(_losses(outcome, request.max_accuracy_loss))
        if refusals:
            return outcome.model_copy(update={"refusals": refusals})
        written = {}
        for form in forms:
            calibrated = calibration if form.optimization in CALIBRATED else None
            measured = (outcome.dataset, outcome.measured) if outcome.dataset and outcome.measured else None
            card = _card(original, form, calibrated, measured)
            written[form.optimization.value] = _put_in_place(request, original, form, card)
    return outcome.model_copy(update={"written": written})


def _make(
    request: ExportRequest, original: Original, examples: Examples | None, place: Path, on_progress: Progress
) -> tuple[list[Form], dict[str, Any] | None]:
    """Makes the forms, and says what they were calibrated on, where any is."""
    images, calibration = None, None
    if examples is not None and set(request.optimizations) & {*CALIBRATED}:
        images = examples.calibration(request.calibration_examples, request.seed)
        calibration = examples.describe(examples.data.calibration_split, examples.data.calibration_part)
        calibration |= {"examples": len(images), "seed": request.seed}
    forms = []
    for number, optimization in enumerate(request.optimizations):
        on_progress(f"making {optimization}", number, len(request.optimizations))
        forms.append(Form.make(original, optimization, place / optimization, images))
    return forms, calibration


def _measure(
    original: Original, forms: list[Form], examples: Examples, on_progress: Progress
) -> Mapping[str, dict[str, Any] | Measured]:
    batches = examples.measured(lambda done, total: on_progress("measuring", done, total))
    networks = {form.optimization.value: form.network for form in forms}
    measured = measure(session_network(original.directory), networks, batches, original.card.class_names)
    return {"dataset": examples.describe(examples.data.split, examples.data.part), "measured": measured}


def _losses(outcome: ExportOutcome, allowed: float | None) -> list[str]:
    if allowed is None or outcome.measured is None:
        return []
    losses = {name: -form.differences["accuracy"] for name, form in outcome.measured.forms.items()}
    return [
        f"{name} loses {loss:.4f} of the accuracy; --max-accuracy-loss allows {allowed:g}"
        for name, loss in losses.items()
        if loss > allowed
    ]


def _put_in_place(request: ExportRequest, original: Original, form: Form, card: dict[str, Any]) -> str:
    """Makes a form visible in one step; returns where it is."""
    if form.optimization is Optimization.FROZEN:
        (form.directory / features.ASSETS_DIRECTORY / features.EXPORT_ASSET).write_text(json_text(card), "utf-8")
        statistics = pushed_statistics(str(original.directory))
        record = _record(original)
        pushed = push(str(form.directory), str(request.output), record, statistics=statistics, is_trial=False)
        if pushed.version is None and not pushed.already_served:
            raise ModelError(f"the frozen form is not written to {str(request.output)!r}: {pushed.reason}.")
        return pushed.already_served or str(request.output / str(pushed.version))
    (form.directory / CARD_FILE).write_text(json_text(card), "utf-8")
    final = request.place(form.optimization)
    request.output.mkdir(parents=True, exist_ok=True)
    staged, earlier = (request.output / f"{prefix}{uuid.uuid4().hex}" for prefix in (_WRITING, _REPLACED))
    shutil.copytree(form.directory, staged)
    if final.exists():
        final.rename(earlier)
    staged.rename(final)
    shutil.rmtree(earlier, ignore_errors=True)
    return str(final)


def _record(original: Original) -> PushRecord:
    """Returns what the original's push said, for a frozen form answers as the original does.

    One that averages as the original did not has been measured by no gate.
    """
    now = datetime.now(UTC)
    pushed = PushRecord.of(str(original.directory)) or PushRecord(pushed_at=now)
    changed: dict[str, Any] = {"pushed_at": now, "copy_of": None, "withdrawn": None}
    if original.card.flip_averaging and not read_card(str(original.directory)).flip_averaging:
        changed |= {"metrics": {}, "thresholds": []}
    return pushed.model_copy(update=changed)


def _card(
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
    decoding = _DECODING if original.card.turns_images else _DECODING_UNTURNED
    return {
        "optimization": form.optimization,
        "source": original.identity,
        "petseg": installed_version("petseg"),
        "tensorflow": installed_version("tensorflow"),
        "bytes": form.bytes,
        **{name: getattr(original.card, name) for name in _OF_THE_MODEL},
        "tensors": form.tensors,
        "preparation": {"steps": (decoding, *_FURTHER_STEPS), "offset": offset, "scale": scale},
        "calibration": calibration,
        "measured": measured
        and {
            "dataset": measured[0],
            **measured[1].model_dump(include={"examples", "threads"}),
            "original": measured[1].original.model_dump(),
            "optimized": measured[1].forms[form.optimization].model_dump(),
        },
    }
