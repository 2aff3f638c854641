"""What the executor and the process that probes tell each other, as files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.model_probe.findings import FINDINGS_FILE, Findings

_IMAGES: Final = "images"
_NAMES: Final = "names.json"
_PREPARED: Final = "prepared.npy"
_LOG: Final = "log"


class WorkDirectory:
    """A directory that is empty at first."""

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
