"""The parameters that a run on Kubeflow Pipelines may set anew: they go into the settings of components at run time.

TFX packs the settings of a component into one JSON text, which the server cannot look into. So a component that a
parameter concerns gets it as one more input, and the entrypoint in the pod puts the value where it belongs.

A parameter stands for a setting, or for an option of `petseg run`, and takes what that takes. petseg's commands check a
value at once. The server's own pages check nothing but a part of the types, so the first component to run checks all of
them again, and no training is in vain.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from components.model_evaluator.gate import Gate
from components.model_pusher.origin import Recipe
from pipeline.config.schema import Config
from pipeline.nodes import (
    DRIFT_DETECTOR,
    EVALUATOR,
    EXAMPLE_GEN,
    EXAMPLE_VALIDATOR,
    KSERVE_DEPLOYER,
    PUSHER,
    REFERENCE_EVALUATOR,
    RETRAINING_DECIDER,
    SERVED_MODEL_RESOLVER,
    TRAINER,
    WARM_START_RESOLVER,
)
from pipeline.recipe import least_accuracy
from trainer_module.config import tidy_location
from trainer_module.errors import ConfigError

NOTIFY: Final = "notify"
"""The parameter by which the runs of a schedule tell people, where that is wanted of scheduled ones."""

ONLY_IF_NEEDED: Final = "only_if_needed"
"""The parameter by which the runs of a schedule train only where there is a reason; a package without a decision has
none."""

RECIPE: Final = "recipe"
"""Execution property of the components that are told how the model is trained and judged: a `Recipe`, as JSON."""

_SETTINGS: Final = "settings"
"""RunReport's execution property with all settings."""

_NUMBERS: Final = {"NUMBER_INTEGER": "a whole number", "NUMBER_DOUBLE": "a number"}
_WORDS: Final = {**_NUMBERS, "BOOLEAN": "true or false"}


@dataclass(frozen=True)
class Setting:
    """A setting that a parameter stands for, as `trainer.epochs`: it lends it its bounds."""

    name: str
    of_value: Callable[[Any, Any], Any] = lambda value, _: value
    """Returns the setting's value, of the parameter's and that of the setting before; raises ConfigError where no pod
    could use it."""

    is_reported: bool = True
    """Whether RunReport tells it: not where it says nothing of the model."""

    def __str__(self) -> str:
        return f"setting {self.name}"

    def takes(self, value: Any) -> bool:
        """Returns whether a configuration takes the value; 2.0 is as good as 2: numbers of JSON have one type."""
        section, key = self.name.split(".")
        try:
            Config.model_validate({section: {key: self.of_value(value, getattr(getattr(Config(), section), key))}})
        except ValidationError:
            return False
        return True

    @property
    def bounds(self) -> str:
        """The least and the greatest number that it takes, in words."""
        section, key = self.name.split(".")
        rules = type(getattr(Config(), section)).model_fields[key].metadata
        bounds = {kind: getattr(rule, kind) for rule in rules for kind in ("ge", "le") if hasattr(rule, kind)}
        return f"from {bounds['ge']} " + (f"to {bounds['le']}" if "le" in bounds else "on")

    def put_into(self, settings: str, value: Any) -> str:
        """Returns settings, a JSON object without defaults, with the parameter's value in its place."""
        told = json.loads(settings)
        section, key = self.name.split(".")
        before = told.setdefault(section, {}).get(key, getattr(getattr(Config(), section), key))
        told[section][key] = self.of_value(value, before)
        return json.dumps(told)


@dataclass(frozen=True)
class RunOption:
    """An option of `petseg run` that a parameter stands for: of one run, so that no setting and no schedule has it."""

    name: str
    absent: Any
    """The value that stands for the option not being given."""

    takes: Callable[[Any], bool]

    def __str__(self) -> str:
        return f"petseg run {self.name}"


@dataclass(frozen=True)
class RuntimeParameter:
    """One parameter of the compiled pipeline."""

    name: str
    type: str
    """`STRING`, `NUMBER_INTEGER`, `NUMBER_DOUBLE` or `BOOLEAN`."""

    description: str
    components: tuple[str, ...]
    """Those that take it, where the pipeline has them; their drivers take it as well."""

    default: Callable[[Config], Any]
    puts: Mapping[str, Callable[[Any, Any], Any]]
    """By execution property that it changes, whichever of them a component has: what returns the property with the
    value in its place."""

    stands_for: Setting | RunOption

    @property
    def expected(self) -> str:
        """What it takes, with the range of its setting."""
        if self.type in _NUMBERS and isinstance(self.stands_for, Setting):
            return f"{_NUMBERS[self.type]} {self.stands_for.bounds}"
        return _WORDS.get(self.type) or self.description.rstrip(".")

    def check(self, value: Any) -> None:
        """Checks a value.

        Raises:
          ConfigError: What it stands for does not take it.
        """
        if not self.stands_for.takes(value):
            raise self.refused(value)

    def refused(self, value: Any) -> ConfigError:
        """Returns the error that says that a value is not taken."""
        return ConfigError(f"the parameter {self.name} is {value!r}; expected: {self.expected} ({self.stands_for})")

    @property
    def component_input(self) -> str:
        """The component's input that carries the value; no execution property of TFX has such a name."""
        return f"runtime_{self.name}"

    @property
    def checked_input(self) -> str:
        """The input of a component that only checks the value."""
        return f"checked_{self.name}"

    @property
    def recipe_input(self) -> str:
        """The input of a component that is told the recipe, of which the value is the field of that name."""
        return f"recipe_{self.name}"

    @property
    def is_reported(self) -> bool:
        """Whether RunReport gets it."""
        return isinstance(self.stands_for, Setting) and self.stands_for.is_reported

    @property
    def reported_input(self) -> str:
        """The input of RunReport, which tells the settings."""
        return f"reported_{self.name}"


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
    return known.get(name) or _WORDS.get(value_type, "a text")


def check_no_run_option(parameters: Mapping[str, Any], what: str) -> None:
    """Checks that values that are to hold for run after run stand for no option of a single one.

    Args:
      parameters: Values by parameter.
      what: Names them for the error.

    Raises:
      ConfigError: One does.
    """
    for parameter in RUNTIME_PARAMETERS:
        option = parameter.stands_for
        if isinstance(option, RunOption) and parameters.get(parameter.name, option.absent) != option.absent:
            raise ConfigError(
                f"{what}.{parameter.name} would overrule the gate in every run, with nobody there to look; it is for "
                f"a single one: petseg kubeflow submit {option.name}, or on this machine {option}"
            )


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
            changed |= {name: put(changed[name], value) for name, put in parameter.puts.items() if name in changed}
        if parameter.recipe_input in changed:
            value = changed.pop(parameter.recipe_input)
            parameter.check(value)
            changed[RECIPE] = Recipe.model_validate(
                json.loads(changed[RECIPE]) | {parameter.name: value}
            ).model_dump_json()
        if parameter.reported_input in changed and isinstance(parameter.stands_for, Setting):
            value = changed.pop(parameter.reported_input)
            value = int(value) if parameter.type == "NUMBER_INTEGER" else value
            changed[_SETTINGS] = parameter.stands_for.put_into(changed[_SETTINGS], value)
    return changed


def _default_version(config: Config) -> str:
    return config.data.dataset.partition(":")[2]


def _put_version(custom_config: str, version: str) -> str:
    from tfx.utils import proto_utils

    from components.tfds_example_gen.messages import source_from_message, source_message

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


def _put_min_accuracy(gate: str, least: float) -> str:
    return Gate.model_validate_json(gate).with_least("accuracy", float(least)).model_dump_json()


def _put_push_destination(push_destination: str, directory: str) -> str:
    from tfx.proto import pusher_pb2
    from tfx.utils import proto_utils

    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(push_destination, destination)
    destination.filesystem.base_directory = tidy_location(directory)
    return str(proto_utils.proto_to_json(destination))


def _put_no_bounds(class_bounds: str, reason: str) -> str:
    """Lifts the bounds on classes that the data may lack: what the gate says of them does not count."""
    return json.dumps(json.loads(class_bounds) | ({"bounds": {}} if reason else {}))


def _is_reason(value: Any) -> bool:
    return isinstance(value, str) and (not value or bool(value.strip()))


def _destination_of_pods(directory: Any, _: Any) -> str:
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
        components=(RETRAINING_DECIDER, EXAMPLE_GEN),
        default=_default_version,
        puts={"custom_config": _put_version},
        stands_for=Setting("data.dataset", lambda version, dataset: _with_version(dataset, version)),
    ),
    RuntimeParameter(
        name="epochs",
        type="NUMBER_INTEGER",
        description="Passes over the training split.",
        components=(TRAINER,),
        default=lambda config: config.trainer.epochs,
        puts={"custom_config": _put_epochs},
        stands_for=Setting("trainer.epochs"),
    ),
    RuntimeParameter(
        name="min_accuracy",
        type="NUMBER_DOUBLE",
        description="Least pixel accuracy of a model that is pushed; 0 for no such bound.",
        components=(RETRAINING_DECIDER, EVALUATOR, REFERENCE_EVALUATOR),
        default=least_accuracy,
        puts={"gate": _put_min_accuracy},
        stands_for=Setting("evaluation.min_accuracy", lambda least, _: least or None),
    ),
    RuntimeParameter(
        name="push_destination",
        type="STRING",
        description="Mounted directory, or gs:// URI, of the model's versions; the newest is the baseline.",
        components=(
            RETRAINING_DECIDER,
            DRIFT_DETECTOR,
            SERVED_MODEL_RESOLVER,
            WARM_START_RESOLVER,
            PUSHER,
            KSERVE_DEPLOYER,
        ),
        default=lambda config: config.serving_model_dir,
        puts={"push_destination": _put_push_destination},
        stands_for=Setting("push.destination", _destination_of_pods),
    ),
    RuntimeParameter(
        name="force_bless",
        type="STRING",
        description="Reason to push the model of this run whatever the gate says; empty to obey the gate.",
        components=(EXAMPLE_VALIDATOR, EVALUATOR, REFERENCE_EVALUATOR),
        default=lambda _: "",
        puts={"class_bounds": _put_no_bounds, "force_bless": lambda _, reason: reason.strip()},
        stands_for=RunOption("--force-bless REASON", absent="", takes=_is_reason),
    ),
    RuntimeParameter(
        name="reset_baseline",
        type="BOOLEAN",
        description="Whether the model of this run is judged as if none were served.",
        components=(DRIFT_DETECTOR, SERVED_MODEL_RESOLVER),
        default=lambda _: False,
        puts={"reset": lambda _, is_reset: int(is_reset)},
        stands_for=RunOption("--reset-baseline", absent=False, takes=lambda value: isinstance(value, bool)),
    ),
    RuntimeParameter(
        name=ONLY_IF_NEEDED,
        type="BOOLEAN",
        description="Whether the run trains only where there is a reason; schedules set it.",
        components=(RETRAINING_DECIDER,),
        default=lambda _: False,
        puts={"asked": lambda _, only_if_needed: int(not only_if_needed)},
        stands_for=Setting("schedule.only_if_needed", is_reported=False),
    ),
    RuntimeParameter(
        name=NOTIFY,
        type="STRING",
        description="When people are told how the run ended: always, never or scheduled.",
        components=(),
        default=lambda config: config.notification.when,
        puts={},
        stands_for=Setting("notification.when"),
    ),
)
