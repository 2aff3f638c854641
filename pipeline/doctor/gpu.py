"""The GPUs: what the machine has, what its driver says, and what TensorFlow can use of them."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.config.schema import Config
from pipeline.doctor.findings import Finding, not_used, ok, problem, warning

PCI_DEVICES: Final = Path("/sys/bus/pci/devices")

_NVIDIA: Final = "0x10de"
_DISPLAY_CLASS: Final = "0x03"
_QUERY: Final = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
_SECONDS: Final = 20
_INSTALL: Final = "install petseg[gpu]: `uv sync --extra gpu` or `pip install 'petseg[gpu]'`"


def look_at_gpus(config: Config, seen: Sequence[str] | None, cuda: str, missing: Sequence[str]) -> Finding:
    """Tells whether trainings can use GPUs, and what is in the way where they cannot.

    Args:
      config: Says how many GPUs trainings want.
      seen: Those that TensorFlow sees, by name; None where TensorFlow could not be asked.
      cuda: The release of CUDA that TensorFlow was built for; empty where it was built for none.
      missing: Packages with CUDA's libraries that are not installed.
    """
    wanted = config.trainer.gpus
    if wanted == 0:
        return not_used("GPU", "trainer.gpus is 0")
    cards, why_no_driver = _cards()
    has = ", ".join(cards)
    if seen:
        if wanted is not None and wanted > len(seen):
            return problem(
                "GPU", f"trainer.gpus is {wanted}, and TensorFlow sees {len(seen)}: {', '.join(seen)}", _fewer()
            )
        return ok("GPU", f"TensorFlow sees {len(seen)}: {', '.join(seen)}; {has or 'nvidia-smi tells nothing'}")
    if not cards and not why_no_driver:
        if wanted:
            return problem("GPU", f"trainer.gpus is {wanted}, and there is no NVIDIA GPU on this machine", _fewer())
        return not_used("GPU", "there is no NVIDIA GPU on this machine; trainings use the processor")
    tell = problem if wanted else warning
    if why_no_driver:
        return tell("GPU", why_no_driver, "install NVIDIA's driver, or start the container with its GPUs (--gpus all)")
    if seen is None:
        return warning(
            "GPU", f"{has}; TensorFlow cannot be asked whether it sees it", "mend what `imports` tells first"
        )
    if not cuda:
        return tell("GPU", f"{has}; TensorFlow sees none: it was built without CUDA (tensorflow-cpu?)", _INSTALL)
    if missing:
        return tell("GPU", f"{has}; TensorFlow sees none: of CUDA {cuda}, {_named(missing)} not installed", _INSTALL)
    return tell(
        "GPU",
        f"{has}; TensorFlow, built for CUDA {cuda}, sees none, and CUDA's packages are installed",
        "see what TensorFlow says: python -c 'import tensorflow as tf; print(tf.config.list_physical_devices())'; the "
        "driver may be too old for that CUDA, or CUDA_VISIBLE_DEVICES hide the GPU",
    )


def _cards() -> tuple[list[str], str]:
    """Returns the GPUs as the driver tells of them, and why it does not where there are some."""
    if shutil.which(_QUERY[0]) is None:
        return [], "there is an NVIDIA GPU, and no driver (no nvidia-smi)" if _is_plugged_in() else ""
    try:
        ended = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return [], f"nvidia-smi does not end within {_SECONDS} s: the driver hangs"
    if ended.returncode:
        said = " ".join((ended.stdout + ended.stderr).split()) or f"exit code {ended.returncode}"
        return [], f"nvidia-smi fails: {said}"
    rows = [[cell.strip() for cell in line.rsplit(",", 2)] for line in ended.stdout.splitlines() if line.strip()]
    return [f"{name} with {memory} (driver {driver})" for name, memory, driver in rows], ""


def _is_plugged_in() -> bool:
    """Returns whether a display controller or accelerator of NVIDIA is on the machine's bus."""
    for device in PCI_DEVICES.glob("*"):
        try:
            vendor, kind = ((device / file).read_text(encoding="ascii").strip() for file in ("vendor", "class"))
        except OSError:
            continue
        if vendor == _NVIDIA and kind.startswith(_DISPLAY_CLASS):
            return True
    return False


def _fewer() -> str:
    return "set trainer.gpus to what is there, or leave it out, which takes all"


def _named(packages: Sequence[str]) -> str:
    first, *others = packages
    return f"{first} and {len(others)} more packages are" if others else f"{first} is"
