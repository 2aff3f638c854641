"""What an export is to do, and the forms that it can give a model. Importing this module is cheap."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.config.paths import check_no_pattern
from pipeline.config.schema import Config
from trainer_module.errors import ConfigError


class Optimization(StrEnum):
    """What is done to a model."""

    FROZEN = "frozen"
    """A SavedModel whose weights are constants, so that TensorFlow folds batch normalization into convolutions."""

    FLOAT16 = "float16"
    """The network for TensorFlow Lite, its weights in float16; it computes in float32."""

    INT8 = "int8"
    """The network for TensorFlow Lite with weights of 8 bits; what passes between layers is rounded to 8 bits by the
    range that it has for each image (dynamic-range quantization)."""

    INT8_FULL = "int8_full"
    """As `int8`, but by ranges that examples had: all in integers, for accelerators that know nothing else."""


CALIBRATED = (Optimization.INT8_FULL,)
"""The forms that cannot be made without examples."""


@dataclass(frozen=True)
class ExportData:
    """The examples to measure and to calibrate on."""

    dataset: str
    """TFDS name, as `data.dataset`."""

    data_dir: str
    split: str
    """TFDS slice to measure on."""

    calibration_split: str
    """TFDS slice to calibrate on."""

    config: Config
    """Says the names of the features, and the modules that register builders."""

    part: str = ""
    """Which split of `data.hash_split` to measure on, of the slice; empty: the whole slice."""

    calibration_part: str = ""
    """Which to calibrate on, likewise."""


@dataclass(frozen=True)
class ExportRequest:
    """One call of `petseg export`."""

    model: str
    """A version directory, or a directory of versions, whose newest is taken."""

    optimizations: tuple[Optimization, ...]
    flip_averaging: bool
    """Whether the forms average their answers over image and mirror image, as the model itself does not."""

    output: Path
    data: ExportData | None
    """None: nothing is measured."""

    calibration_examples: int
    seed: int
    """Draws the examples to calibrate on."""

    max_accuracy_loss: float | None
    """How much lower than the original's an accuracy may be; None: by whatever."""

    replace: bool
    """Whether forms for TensorFlow Lite may take the place of earlier ones."""

    def check(self) -> None:
        """Refuses what cannot be done, before anything is loaded.

        Raises:
          ConfigError: There is a file in the way, or an earlier export; a model in such a directory could not be
            loaded; or examples are needed and none are named.
        """
        check_no_pattern("--output", str(self.output))
        if "://" in str(self.output) or (self.output.exists() and not self.output.is_dir()):
            raise ConfigError(f"--output must be a directory of this machine; {str(self.output)!r} is none.")
        taken = [self.place(one) for one in self.optimizations if one is not Optimization.FROZEN]
        taken = [path for path in taken if path.exists()]
        if taken and not self.replace:
            raise ConfigError(
                f"there is an earlier export: {', '.join(map(str, taken))}. Name another --output, or replace it with "
                "--force."
            )
        if self.data is not None:
            return
        calibrated = [one for one in self.optimizations if one in CALIBRATED]
        if calibrated:
            raise ConfigError(
                f"--optimize {calibrated[0]} needs examples to calibrate on: name --data-dir or --config."
            )
        if self.max_accuracy_loss is not None:
            raise ConfigError("--max-accuracy-loss needs examples to measure on: name --data-dir or --config.")

    def place(self, optimization: Optimization) -> Path:
        """Returns the directory of a form for TensorFlow Lite."""
        return self.output / optimization
