"""The process that probes a model, started anew for each: what kills it does not kill the run.

    python -P -m petseg.run_module components.model_probe.serving_process MODEL WORK_DIRECTORY

The work directory has what the executor prepared: `images/<number>`, encoded, `names.json` and `prepared.npy`; the
process leaves `probe.json` there.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.model_probe.checks import (
    SessionModel,
    check_odd_images,
    check_real_images,
    check_signatures,
    check_unreadable_images,
    check_warmup,
    compare_paths,
    first_line,
)
from components.model_probe.findings import Findings, Measurements, WorkDirectory
from trainer_module import features
from trainer_module.model_card import ModelCard

_REQUESTS: Final = 30
_MAX_MEASURING_SECONDS: Final = 30.0
_STATUS: Final = Path("/proc/self/status")


class _Probe(NamedTuple):
    model: SessionModel
    card: ModelCard
    images: list[bytes]
    names: list[str]
    prepared: NDArray[np.float32]


def main(arguments: Sequence[str]) -> int:
    """Probes a model and leaves what was found; that asking it failed is a finding, too."""
    model, directory = arguments
    work = WorkDirectory(Path(directory))
    try:
        found = probe(model, work)
    except Exception as error:
        refusal = f"asking it failed: {first_line(error)}; the log has the traceback"
        work.write_findings(Findings(refusals=(refusal,), measurements=Measurements(), examples=len(work.images())))
        raise
    work.write_findings(found)
    return 0


def probe(directory: str, work: WorkDirectory) -> Findings:
    """Returns what is wrong with a model, and what it costs; a model that cannot be loaded is not asked."""
    assets, images = Path(directory) / features.ASSETS_DIRECTORY, work.images()
    before, start = _memory_mb("VmRSS"), time.monotonic()
    try:
        model = SessionModel.load(directory)
    except Exception as error:  # noqa: BLE001 (whatever TensorFlow raises over broken files)
        refusal = f"it cannot be loaded as TensorFlow Serving loads it: {first_line(error)}"
        return Findings(refusals=(refusal,), measurements=Measurements(), examples=len(images))
    measured = Measurements(load_seconds=time.monotonic() - start)
    try:
        card = ModelCard.parse((assets / features.MODEL_CARD_ASSET).read_bytes())
    except (OSError, ValueError) as error:
        refusal = f"its {features.MODEL_CARD_ASSET}, which names its classes, cannot be read: {first_line(error)}"
        return Findings(refusals=(refusal,), measurements=measured, examples=len(images))
    refusals = list(check_signatures(model, card))
    if not refusals:
        refusals += check_warmup(model, str(assets / features.WARMUP_ASSET))
        refusals += check_odd_images(model, card)
        refusals += check_unreadable_images(model)
    if not refusals:
        asked = _Probe(model, card, images, work.names(), work.prepared())
        try:
            measured, differing = _measure(asked, measured)
        except tf.errors.OpError as error:
            together = f"the images of the evaluated split are not answered together: {first_line(error)}"
            differing = [*check_real_images(model, images, asked.names)] or [together]
        measured = measured.model_copy(update={"memory_mb": _memory_mb("VmHWM") - before})
        refusals += differing
    return Findings(refusals=tuple(refusals), measurements=measured, examples=len(images))


def _measure(probe: _Probe, measured: Measurements) -> tuple[Measurements, list[str]]:
    difference, refusals = compare_paths(probe.model, probe.images, probe.prepared)
    milliseconds: list[float] = []
    end = time.monotonic() + _MAX_MEASURING_SECONDS
    while len(milliseconds) < _REQUESTS and (not milliseconds or time.monotonic() < end):
        image = probe.images[len(milliseconds) % len(probe.images)]
        start = time.monotonic()
        probe.model.call(features.SERVING_SIGNATURE, [image])
        milliseconds.append(1000 * (time.monotonic() - start))
    p50, p99 = np.percentile(milliseconds, [50, 99])
    update = {"latency_p50_ms": float(p50), "latency_p99_ms": float(p99), "max_difference": difference}
    return measured.model_copy(update=update), refusals


def _memory_mb(field: str) -> float:
    """Returns what Linux says of this process: `VmRSS` now, `VmHWM` at most so far."""
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6
