"""Makes the optimized forms of a model in a directory where nobody looks yet."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from components.model_probe.checks import TOLERANCE
from components.model_probe.executor import run_probe
from components.model_probe.odd_images import odd_images
from components.model_probe.session_model import SessionModel
from components.model_probe.work_directory import WorkDirectory
from components.model_pusher.checksums import model_files
from pipeline.export.frozen import write_frozen
from pipeline.export.lite import LiteNetwork, convert
from pipeline.export.measurement import Network
from pipeline.export.optimization import CALIBRATED, Optimization
from pipeline.export.original import Original
from trainer_module import features
from trainer_module.errors import ModelError

LITE_FILE: Final = "model.tflite"
_PROBE_TIMEOUT_SECONDS: Final = 1800


@dataclass(frozen=True)
class Form:
    """One form, made and able to answer."""

    optimization: Optimization
    directory: Path
    network: Network
    tensors: dict[str, dict[str, Any]] | None
    """Of the forms for TensorFlow Lite: name, type and shape of input and output."""

    bytes: int

    @classmethod
    def make(
        cls, original: Original, optimization: Optimization, directory: Path, calibration: NDArray[np.float32] | None
    ) -> Self:
        """Makes a form of a model.

        Args:
          original: The model.
          optimization: The form.
          directory: Where to write; must not exist.
          calibration: Prepared images, for the forms that need some.

        Raises:
          ModelError: The form does not answer as it must.
        """
        if optimization is Optimization.FROZEN:
            write_frozen(original, directory)
            _check_frozen(original, directory)
            return cls(optimization, directory, session_network(directory), None, size(directory))
        content = convert(original, optimization, calibration if optimization in CALIBRATED else None)
        directory.mkdir()
        (directory / LITE_FILE).write_bytes(content)
        network = LiteNetwork(content)
        return cls(optimization, directory, network, network.tensors, len(content))


def session_network(directory: Path) -> Network:
    """Returns the network of a SavedModel, loaded as TensorFlow Serving does."""
    model = SessionModel.load(str(directory))
    return lambda image: model.call(features.TENSOR_SIGNATURE, image)[features.PROBABILITIES]


def size(directory: Path) -> int:
    """Returns the bytes of all files of a model."""
    return sum((directory / file).stat().st_size for file in model_files(str(directory)))


def _check_frozen(original: Original, directory: Path) -> None:
    """Has the frozen model probed as every pushed one is, and compares its answers with the original's."""
    names, images = zip(*odd_images().items(), strict=True)
    prepared = original.prepare_images(images)
    with tempfile.TemporaryDirectory(prefix="petseg-probe-") as place:
        work = WorkDirectory(Path(place))
        work.write_examples(images, names, prepared)
        refusals = list(run_probe(str(directory), work, _PROBE_TIMEOUT_SECONDS).refusals)
    difference = np.abs(session_network(directory)(prepared) - session_network(original.directory)(prepared)).max()
    if not difference <= TOLERANCE:
        refusals.append(f"its probabilities differ from the original's by up to {difference:.2g}")
    if refusals:
        raise ModelError(f"the frozen form of {str(original.directory)!r} cannot be served: {'; '.join(refusals)}.")
