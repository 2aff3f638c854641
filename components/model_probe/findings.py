"""What the probe found of a model."""

from pathlib import Path
from typing import Final, Self

import tensorflow as tf
from pydantic import BaseModel, ConfigDict

FINDINGS_FILE: Final = "probe.json"


class Measurements(BaseModel):
    """What a model cost to serve, on the machine that probed it, without a GPU; None where it did not come so far."""

    model_config = ConfigDict(frozen=True)

    load_seconds: float | None = None
    """From the files to the first answer being possible."""

    latency_p50_ms: float | None = None
    """Half of the requests with one image were answered in no more than this."""

    latency_p99_ms: float | None = None
    """99 of 100 were."""

    memory_mb: float | None = None
    """What loading and answering added to the process at most, in 10⁶ bytes."""

    max_difference: float | None = None
    """Between the probabilities of encoded images and those of the training's way to prepare them."""


class Findings(BaseModel):
    """The probe's verdict."""

    model_config = ConfigDict(frozen=True)

    refusals: tuple[str, ...]
    """Why the model must not be served; empty where it may."""

    measurements: Measurements
    examples: int
    """Real images that it was asked about."""

    @property
    def passed(self) -> bool:
        return not self.refusals

    def save(self, blessing_uri: str) -> None:
        """Writes the findings into the `blessing` artifact."""
        with tf.io.gfile.GFile(f"{blessing_uri}/{FINDINGS_FILE}", "w") as file:
            file.write(self.model_dump_json(indent=2))

    @classmethod
    def load(cls, blessing_uri: str) -> Self:
        """Reads the findings of a `blessing` artifact on this machine."""
        return cls.model_validate_json((Path(blessing_uri) / FINDINGS_FILE).read_bytes())
