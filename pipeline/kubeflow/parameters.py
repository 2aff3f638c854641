"""The parameters that a run on Kubeflow Pipelines may set anew: they go into the settings of components at run time.

TFX packs the settings of a component into one JSON text, which the server cannot look into. So a component that a
parameter concerns gets it as one more input, and the entrypoint in the pod puts the value where it belongs.

A parameter stands for a setting, and takes what that setting takes. petseg's commands check a value at once. The
server's own pages check nothing but a part of the types, so the first component to run checks all of them again, and
no training is in vain.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from components.model_evaluator.gate import Gate
from pipeline.config.schema import Config
from pipeline.nodes import (
    DRIFT_DETECTOR,
    EVALUATOR,
    EXAMPLE_GEN,
    EXAMPLE_GEN_DRIVER,
    KSERVE_DEPLOYER,
    PUSHER,
    SERVED_MODEL_RESOLVER,
    TRAINER,
    WARM_START_RESOLVER,
)
from trainer_module.config import tidy_location
from trainer_module.errors import ConfigError

NOTIFY: Final = "notify"
"""The parameter by which the runs of a schedule tell people, where that is wanted of scheduled ones."""

_NUMBERS: Final = {"NUMBER_INTEGER": "a whole number", "NUMBER_DOUBLE": "a number"}


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

    setting: str
    """The setting that it stands for, as `trainer.epochs`, whose bounds are its own."""

    as_setting: Callable[[Any], Any] = lambda value: value
    """Returns the setting's value; raises ConfigError where no pod could use it."""

    @property
    def expected(self) -> str:
        """What it takes, with the range of its setting."""
        if self.type not in _NUMBERS:
            return self.description.rstrip(".")
        section, key = self.setting.split(".")
        rules = type(getattr(Config(), section)).model_fields[key].metadata
        bounds = {kind: getattr(rule, kind) for rule in rules for kind in ("ge", "le") if hasattr(rule, kind)}
        return f"{_NUMBERS[self.type]} from {bounds['ge']} " + (f"to {bounds['le']}" if "le" in bounds else "on")

    def check(self, value: Any) -> None:
        """Checks a value by putting it into a configuration; 2.0 is as good as 2, for numbers of JSON have one type.

        Raises:
          ConfigError: The configuration does not take it.
        """
        section, key = self.setting.split(".")
        try:
            Config.model_validate({section: {key: self.as_setting(value)}})
        except ValidationError:
            raise self.refused(value) from None

    def refused(self, value: Any) -> ConfigError:
        """Returns the error that says that a value is not taken."""
        return ConfigError(
            f"the parameter {self.name} is {value!r}; expected: {self.expected} (setting {self.setting})"
        )

    @property
    def component_input(self) -> str:
        """The component's input that carries the value; no execution property of TFX has such a name."""
        return f"runtime_{self.name}"

    @property
    def checked_input(self) -> str:
        """The input of a component that only checks the value."""
        return f"checked_{self.name}"


def check_value(name: str, value: Any) -> None:
    """Checks the value of a parameter that petseg knows; what another package's parameters take is not known here.

    A number with a point is none that is whole, though the server would take 2.0, and 1.5, too.

    Raises:
      ConfigError: No component could use it.
    """
    for parameter in RUNTIME_PARAMETERS:
        if parameter.name == name:
            if parameter.type == "NUMBER_INTEGER" and isinstance(value, float):
                raise parameter.refused(value)
            parameter.check(value)


def expected_value(name: str, value_type: str) -> str:
    """Returns what a parameter takes, in words, by its type where petseg does not know it."""
    known = {parameter.name: parameter.expected for parameter in RUNTIME_PARAMETERS}
    return known.get(name) or _NUMBERS.get(value_type) or {"BOOLEAN": "true or false"}.get(value_type, "a text")


def apply_runtime_parameters(exec_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a component's execution properties with the runtime parameters where they belong.

    Raises:
      ConfigError: A value cannot be used.
    """
    changed = dict(exec_properties)
    for parameter in RUNTIME_PARAMETERS:
        if parameter.checked_input in changed:
            parameter.check(changed.pop(parameter.checked_input))
        if parameter.component_input in changed:
            value = changed.pop(parameter.component_input)
            parameter.check(value)
            changed[parameter.exec_property] = parameter.put(changed[parameter.exec_property], value)
    return changed


def _default_version(config: Config) -> str:
    return config.data.dataset.partition(":")[2]


def _put_version(custom_config: str, version: str) -> str:
    from tfx.utils import proto_utils

    from components.tfds_example_gen.executor import source_from_message, source_message

    source = source_from_message(custom_config)
    dataset = _with_version(source.dataset, version)
    return str(proto_utils.proto_to_json(source_message(source.model_copy(update={"dataset": dataset}))))


def _with_version(dataset: str, version: str) -> str:
    name = dataset.partition(":")[0]
    return f"{name}:{version}" if version else name


def _put_epochs(custom_config: str, epochs: float) -> str:
    settings = json.loads(custom_config)
    settings["trainer"]["epochs"] = int(epochs)
    return json.dumps(settings)


def _default_min_accuracy(config: Config) -> float:
    """Returns the least accuracy, 0 for none: every accuracy keeps a bound of 0, so that the two decide the same."""
    bounds = config.evaluation.bounds()
    return next((b.bound for b in bounds if (b.metric, b.kind, b.slice) == ("accuracy", "min", {})), 0.0)


def _put_min_accuracy(gate: str, least: float) -> str:
    return Gate.model_validate_json(gate).with_least("accuracy", float(least)).model_dump_json()


def _put_push_destination(push_destination: str, directory: str) -> str:
    from tfx.proto import pusher_pb2
    from tfx.utils import proto_utils

    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(push_destination, destination)
    destination.filesystem.base_directory = tidy_location(directory)
    return str(proto_utils.proto_to_json(destination))


def _put_notify(settings: str, when: str) -> str:
    values = json.loads(settings)
    values["notification"]["when"] = when
    return json.dumps(values, sort_keys=True)


def _destination_of_pods(directory: Any) -> str:
    check_push_destination(str(directory))
    return str(directory)


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
        tasks=(EXAMPLE_GEN_DRIVER, EXAMPLE_GEN),
        exec_property="custom_config",
        default=_default_version,
        put=_put_version,
        setting="data.dataset",
        as_setting=lambda version: _with_version(Config().data.dataset, version),
    ),
    RuntimeParameter(
        name="epochs",
        type="NUMBER_INTEGER",
        description="Passes over the training split.",
        tasks=(TRAINER,),
        exec_property="custom_config",
        default=lambda config: config.trainer.epochs,
        put=_put_epochs,
        setting="trainer.epochs",
    ),
    RuntimeParameter(
        name="min_accuracy",
        type="NUMBER_DOUBLE",
        description="Least pixel accuracy of a model that is pushed; 0 for no such bound.",
        tasks=(EVALUATOR,),
        exec_property="gate",
        default=_default_min_accuracy,
        put=_put_min_accuracy,
        setting="evaluation.min_accuracy",
    ),
    RuntimeParameter(
        name="push_destination",
        type="STRING",
        description="Mounted directory, or gs:// URI, of the model's versions; the newest is the baseline.",
        tasks=(DRIFT_DETECTOR, SERVED_MODEL_RESOLVER, WARM_START_RESOLVER, PUSHER, KSERVE_DEPLOYER),
        exec_property="push_destination",
        default=lambda config: config.serving_model_dir,
        put=_put_push_destination,
        setting="push.destination",
        as_setting=_destination_of_pods,
    ),
    RuntimeParameter(
        name=NOTIFY,
        type="STRING",
        description="When people are told how the run ended: always, never or scheduled.",
        tasks=("RunReport",),
        exec_property="settings",
        default=lambda config: config.notification.when,
        put=_put_notify,
        setting="notification.when",
    ),
)
