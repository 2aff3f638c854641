"""What a run runs with: the code, the packages and the machine, as its record keeps them."""

import os
import platform
from pathlib import Path
from typing import Final

from pipeline.code_digest import code_digest
from pipeline.installed_versions import installed_version
from pipeline.run_record import EnvironmentRecord

_CODE: Final = (
    "pipeline.graph",
    "components.tfds_example_gen.executor",
    "components.segmentation_evaluation.metric",
    "components.model_probe.executor",
    "components.model_probe.serving_process",
    "components.model_pusher.executor",
    "trainer_module.preprocessing",
    "trainer_module.trainer",
)
_PACKAGES: Final = ("petseg", "tfx", "tensorflow", "keras", "tensorflow-transform", "tensorflow-model-analysis")
_CPU_DESCRIPTION: Final = Path("/proc/cpuinfo")


def run_environment() -> EnvironmentRecord:
    """Returns what this process runs with; imports TensorFlow, which alone knows the GPUs it can use."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return EnvironmentRecord(
        code_digest=code_digest(*_CODE),
        versions={"python": platform.python_version(), **{name: installed_version(name) for name in _PACKAGES}},
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory / 2**30, 1),
        gpus=_gpu_names(),
    )


def _cpu_name() -> str:
    """Returns the model of the processor; where Linux does not tell it, the architecture."""
    for line in _CPU_DESCRIPTION.read_text(encoding="utf-8").splitlines() if _CPU_DESCRIPTION.is_file() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _gpu_names() -> list[str]:
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(device).get("device_name", device.name) for device in devices]
