"""The parameters that a run on Kubeflow Pipelines may set anew: they go into the settings of components at run time.

TFX packs the settings of a component into one JSON text, which the server cannot look into. So a component that a
parameter concerns gets it as one more input, and the entrypoint in the pod puts the value where it belongs.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.config import Config
from trainer_module.errors import ConfigError

DRIVER_TASK: Final = "TfdsExampleGenDriver"
EXAMPLE_GEN_TASK: Final = "TfdsExampleGen"
SERVED_MODEL_TASK: Final = "ServedModelResolver"
WARM_START_TASK: Final = "WarmStartResolver"
"""Only in pipelines whose training starts from the served model."""

PUSHER_TASK: Final = "Pusher"
DEPLOYER_TASK: Final = "KServeDeployer"
"""Only in pipelines whose models go to KServe."""

_VERSION: Final = re.compile(r"[\d.*]*")


@dataclass(frozen=True)
class RuntimeParameter:
    """One parameter of the compiled pipeline."""

    name: str
    type: str
    """`STRING`, `NUMBER_INTEGER` or `NUMBER_DOUBLE`."""

    description: str
    tasks: tuple[str, ...]
    """The components that take it, where the pipeline has them."""

    exec_property: str
    """Which of their execution properties it changes."""

    default: Callable[[Config], Any]
    put: Callable[[str, Any], str]
    """Returns the execution property with the value in its place."""

    @property
    def component_input(self) -> str:
        """The component's input that carries the value; no execution property of TFX has such a name."""
        return f"runtime_{self.name}"


def apply_runtime_parameters(exec_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a component's execution properties with the runtime parameters where they belong.

    Raises:
      ConfigError: A value cannot be used.
    """
    changed = dict(exec_properties)
    for parameter in RUNTIME_PARAMETERS:
        if parameter.component_input in changed:
            value = changed.pop(parameter.component_input)
            changed[parameter.exec_property] = parameter.put(changed[parameter.exec_property], value)
    return changed


def _default_version(config: Config) -> str:
    return config.data.dataset.partition(":")[2]


def _put_version(custom_config: str, version: str) -> str:
    from tfx.utils import proto_utils

    from components.tfds_example_gen.executor import source_from_message, source_message

    if not _VERSION.fullmatch(version):
        raise ConfigError(f"dataset_version is {version!r}; expected a TFDS version such as 4.*.*, or nothing for any")
    source = source_from_message(custom_config)
    name = source.dataset.partition(":")[0]
    dataset = f"{name}:{version}" if version else name
    return str(proto_utils.proto_to_json(source_message(source.model_copy(update={"dataset": dataset}))))


def _put_epochs(custom_config: str, epochs: float) -> str:
    if epochs != int(epochs) or epochs < 1:
        raise ConfigError(f"epochs is {epochs!r}; expected a whole number from 1 on")
    settings = json.loads(custom_config)
    settings["trainer"]["epochs"] = int(epochs)
    return json.dumps(settings)


def _default_min_accuracy(config: Config) -> float:
    bound = config.evaluation.bounds().get("accuracy")
    return bound.min if bound and bound.min is not None else 0.0


def _put_min_accuracy(eval_config: str, bound: float) -> str:
    from tensorflow_model_analysis.proto import config_pb2
    from tfx.utils import proto_utils

    from components.segmentation_evaluation.bounds import with_lower_bound

    if not 0 <= bound <= 1:
        raise ConfigError(f"min_accuracy is {bound!r}; expected a share from 0 (no bound) to 1")
    config = config_pb2.EvalConfig()
    proto_utils.json_to_proto(eval_config, config)
    return str(proto_utils.proto_to_json(with_lower_bound(config, "accuracy", bound)))


def _put_push_destination(push_destination: str, directory: str) -> str:
    from tfx.proto import pusher_pb2
    from tfx.utils import proto_utils

    check_push_destination(directory)
    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(push_destination, destination)
    destination.filesystem.base_directory = directory
    return str(proto_utils.proto_to_json(destination))


def check_push_destination(directory: str) -> None:
    """Checks that a pod could push there.

    Raises:
      ConfigError: It is neither an absolute path nor a `gs://` URI.
    """
    if not directory.startswith(("/", "gs://")):
        raise ConfigError(
            f"the push destination is {directory!r}, which no pod can write to: give the path of a mounted volume, "
            "such as /serving/pets, or a gs:// URI. From an s3:// or minio:// store, serve the pushed_model artifact"
        )


RUNTIME_PARAMETERS: Final = (
    RuntimeParameter(
        name="dataset_version",
        type="STRING",
        description="TFDS version of the data set, such as 4.*.*; empty for any.",
        tasks=(DRIVER_TASK, EXAMPLE_GEN_TASK),
        exec_property="custom_config",
        default=_default_version,
        put=_put_version,
    ),
    RuntimeParameter(
        name="epochs",
        type="NUMBER_INTEGER",
        description="Passes over the training split.",
        tasks=("Trainer",),
        exec_property="custom_config",
        default=lambda config: config.trainer.epochs,
        put=_put_epochs,
    ),
    RuntimeParameter(
        name="min_accuracy",
        type="NUMBER_DOUBLE",
        description="Least pixel accuracy of a model that is pushed; 0 for no such bound.",
        tasks=("Evaluator",),
        exec_property="eval_config",
        default=_default_min_accuracy,
        put=_put_min_accuracy,
    ),
    RuntimeParameter(
        name="push_destination",
        type="STRING",
        description="Mounted directory, or gs:// URI, of the model's versions; the newest is the baseline.",
        tasks=(SERVED_MODEL_TASK, WARM_START_TASK, PUSHER_TASK, DEPLOYER_TASK),
        exec_property="push_destination",
        default=lambda config: config.serving_model_dir,
        put=_put_push_destination,
    ),
)
