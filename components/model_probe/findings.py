"""What the probe finds of a model, what it may cost to serve, and how executor and probing process tell each other."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

FINDINGS_FILE: Final = "probe.json"
_IMAGES: Final = "images"
_NAMES: Final = "names.json"
_PREPARED: Final = "prepared.npy"
_LOG: Final = "log"


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


class ProbeSettings(BaseModel):
    """The budgets, None for none; the fields mean what those of the same name in `ProbeConfig` mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str
    """Whose raw examples the model is asked about."""

    examples: int
    max_load_seconds: float | None = None
    max_latency_p50_ms: float | None = None
    max_latency_p99_ms: float | None = None
    max_memory_mb: float | None = None
    code_digest: str = ""
    """Identifies the code of the probe, so that a change to it re-runs the component."""

    def overruns(self, measured: Measurements) -> Iterator[str]:
        """Yields a line for each budget that was not kept."""
        for name, words in {
            "load_seconds": "loading took {:.1f} s",
            "latency_p50_ms": "half of the requests took {:.0f} ms or more",
            "latency_p99_ms": "the slowest requests (p99) took {:.0f} ms",
            "memory_mb": "loading and answering took {:.0f} MB of memory",
        }.items():
            value, budget = getattr(measured, name), getattr(self, f"max_{name}")
            if value is not None and budget is not None and value > budget:
                yield f"{words.format(value)}; probe.max_{name} is {budget:g}"


class WorkDirectory:
    """Where the executor leaves what to ask, and the probing process what it found; empty at first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / _LOG
        """What the process prints."""

    def write_examples(self, images: Sequence[bytes], names: Sequence[str], prepared: NDArray[np.float32]) -> None:
        """Leaves encoded images, their names, and the same prepared for the network.

        Args:
          images: Encoded.
          names: What to call each in messages.
          prepared: [images, image_size, image_size, 3].
        """
        (self.directory / _NAMES).write_text(json.dumps(list(names)), encoding="utf-8")
        (self.directory / _IMAGES).mkdir()
        for index, image in enumerate(images):
            (self.directory / _IMAGES / f"{index:06d}").write_bytes(image)
        np.save(self.directory / _PREPARED, prepared)

    def images(self) -> list[bytes]:
        """Returns the encoded images."""
        return [path.read_bytes() for path in sorted((self.directory / _IMAGES).iterdir())]

    def names(self) -> list[str]:
        """Returns what to call each image."""
        found: list[str] = json.loads((self.directory / _NAMES).read_text(encoding="utf-8"))
        return found

    def prepared(self) -> NDArray[np.float32]:
        """Returns the prepared images."""
        found: NDArray[np.float32] = np.load(self.directory / _PREPARED)
        return found

    def write_findings(self, findings: Findings) -> None:
        """Leaves what was found."""
        findings.save(str(self.directory))

    def findings(self) -> Findings | None:
        """Returns what was found; None where the process did not come so far."""
        return Findings.load(str(self.directory)) if (self.directory / FINDINGS_FILE).is_file() else None
