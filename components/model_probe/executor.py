"""Has a model probed in a process of its own, and blesses it when nothing is wrong."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging
from numpy.typing import NDArray
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components.artifact_properties import BLESSED
from components.model_probe.findings import Findings, Measurements, ProbeSettings, WorkDirectory
from components.tfds_example_gen.example_names import shown_names
from petseg.processes import command
from trainer_module import features
from trainer_module.errors import DataError

SETTINGS_KEY: Final = "settings"

_BLESSED_FILE: Final = "INFRA_BLESSED"
_REFUSED_FILE: Final = "INFRA_NOT_BLESSED"
"""Both as TFX's InfraValidator has them, for the Pusher; so is the property of the blessing."""

_TIMEOUT_SECONDS: Final = 1800


class Executor(base_executor.BaseExecutor):
    """ModelProbe's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Probes the model, writes what was found, and blesses or refuses."""
        settings = ProbeSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        model, examples, graph = (
            artifact_utils.get_single_instance(input_dict[key])
            for key in (
                standard_component_specs.MODEL_KEY,
                standard_component_specs.EXAMPLES_KEY,
                standard_component_specs.TRANSFORM_GRAPH_KEY,
            )
        )
        images, names = _first_images(artifact_utils.get_split_uri([examples], settings.split), settings.examples)
        with tempfile.TemporaryDirectory(prefix="petseg-probe-") as directory:
            work = WorkDirectory(Path(directory))
            work.write_examples(images, names, prepare(images, graph.uri))
            findings = run_probe(path_utils.serving_model_path(model.uri), work, _TIMEOUT_SECONDS)
        overruns = tuple(settings.overruns(findings.measurements))
        findings = findings.model_copy(update={"refusals": findings.refusals + overruns})
        logging.info("The probe: %s", findings)
        blessing = artifact_utils.get_single_instance(output_dict[standard_component_specs.BLESSING_KEY])
        io_utils.write_string_file(f"{blessing.uri}/{_BLESSED_FILE if findings.passed else _REFUSED_FILE}", "")
        findings.save(blessing.uri)
        blessing.set_int_custom_property(BLESSED, int(findings.passed))


def _first_images(split_uri: str, count: int) -> tuple[list[bytes], list[str]]:
    """Returns the first images of a split, encoded, and names that tell them apart."""
    files = sorted(tf.io.gfile.glob(f"{split_uri}/*"))
    images, file_names = [], {}
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").take(count):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        images.append(feature[features.IMAGE].bytes_list.value[0])
        example_id, file_name = (
            feature[name].bytes_list.value[0] for name in (features.EXAMPLE_ID, features.FILE_NAME)
        )
        file_names[example_id.decode()] = file_name.decode(errors="replace")
    if not images:
        raise DataError(f"there are no examples in {split_uri!r} to ask the model about.")
    return images, [*shown_names(file_names).values()]


def prepare(images: list[bytes], transform_graph_uri: str) -> NDArray[np.float32]:
    """Returns what the network is trained on, of encoded images: [images, image_size, image_size, 3]."""
    layer = tft.TFTransformOutput(transform_graph_uri).transform_features_layer()

    # In a function, the branch of the masks, which there are none of here, is left out.
    @tf.function
    def transform(encoded: tf.Tensor) -> list[tf.Tensor]:
        transformed = layer({features.IMAGE: encoded[:, tf.newaxis]})
        return [transformed[name] for name in (features.IMAGE_XF, features.IMAGE_OFFSET_XF, features.IMAGE_SCALE_XF)]

    serialized, offset, scale = transform(tf.constant(images))
    pixels = np.stack([tf.io.parse_tensor(one, tf.uint8).numpy() for one in serialized])
    offset, scale = (values.numpy()[:, np.newaxis, np.newaxis] for values in (offset, scale))
    prepared: NDArray[np.float32] = (pixels.astype(np.float32) - offset) * scale
    return prepared


def run_probe(model: str, work: WorkDirectory, timeout_seconds: float) -> Findings:
    """Returns what a process of its own found of a model; that it died is a finding, too."""
    with work.log.open("wb") as log:
        try:
            ended = subprocess.run(
                command("components.model_probe.serving_process", model, str(work.directory)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=timeout_seconds,
                # The run's own process may hold the GPU; what a model does without one, it does with one.
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            ).returncode
            death = "" if ended == 0 else _cause(ended)
        except subprocess.TimeoutExpired:
            death = f"did not end within {timeout_seconds:g} s"
    findings = work.findings()
    if findings is not None and not death:
        return findings
    logging.error("What the probing process printed:\n%s", work.log.read_text(encoding="utf-8", errors="replace"))
    if findings is not None and not findings.passed:
        return findings
    refusal = f"the process that loaded it {death or 'left no findings'}"
    return Findings(refusals=(refusal,), measurements=Measurements(), examples=len(work.images()))


def _cause(code: int) -> str:
    if code < 0:
        memory = " (was its memory used up?)" if -code == signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-code).name}{memory}"
    return f"ended with exit code {code}; its output is in the log"
