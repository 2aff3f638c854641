"""Whether a package was compiled from the code that is to run it.

A package names functions by dotted path; what they do comes with the image. The digest of the code that a component
runs is an argument of its container, so that an image that was not rebuilt is noticed before it computes anything. The
server's cache looks at the arguments, too: other code of one component does not make it forget the others.
"""

from typing import Any, Final

from pipeline.code_digest import code_digest
from trainer_module.errors import ConfigError

MODULES_FLAG: Final = "--code_modules"
DIGEST_FLAG: Final = "--code_digest"

_ENTRYPOINT: Final = (
    "petseg",
    "petseg.processes",
    "petseg.run_module",
    "petseg.surroundings",
    "pipeline.beam_runners",
    "pipeline.in_process_runner",
    "pipeline.kubeflow.entrypoint",
    "pipeline.kubeflow.executor_messages",
    "pipeline.kubeflow.launcher_paths",
    "pipeline.kubeflow.pod_log",
    "pipeline.kubeflow.runtime_parameters",
)
_MODULES: Final = {
    "TfdsExampleGenDriver": "components.tfds_example_gen.driver",
    "TfdsExampleGen": "components.tfds_example_gen.executor",
    "ImportSchema": "components.import_schema.executor",
    "ExampleValidator": "components.data_validator.executor",
    "Transform": "trainer_module.preprocessing",
    "WarmStartResolver": "components.served_model_resolver.executor",
    "Trainer": "trainer_module.trainer",
    "ServedModelResolver": "components.served_model_resolver.executor",
    "Evaluator": "components.model_evaluator.executor,components.segmentation_evaluation.metric",
    "ModelProbe": "components.model_probe.executor,components.model_probe.serving_process",
    "Pusher": "components.model_pusher.executor",
    "KServeDeployer": "components.kserve_deployer.executor",
}
"""The module whose code, with all that it imports, a component runs; the others are TFX's own."""


def code_arguments(task_id: str) -> list[str]:
    """Returns the arguments that bind a component to the code that is installed here."""
    modules = _MODULES.get(task_id, "")
    return [MODULES_FLAG, modules, DIGEST_FLAG, _digest(modules)]


def check_compiled_by_this_code(pipeline_spec: dict[str, Any]) -> None:
    """Checks that every component of a package expects the code that is installed here.

    Raises:
      ConfigError: One expects other code, or does not say.
    """
    executors = pipeline_spec.get("deploymentSpec", {}).get("executors", {})
    for label, executor in sorted(executors.items()):
        command = executor.get("container", {}).get("command", [])
        modules, expected = _argument(command, MODULES_FLAG), _argument(command, DIGEST_FLAG)
        if modules is None or expected is None or expected != _installed(modules):
            raise ConfigError(
                f"the package was compiled by another version of petseg: {label} expects other code than is installed "
                "here; compile it again"
            )


def check_image(modules: str, expected: str) -> None:
    """Checks in a pod that the image has the code that the package was compiled from.

    Raises:
      ConfigError: It has other code.
    """
    here = _installed(modules)
    if expected != here:
        raise ConfigError(
            f"this image holds other code than the package was compiled from: the package expects {expected}, the "
            f"image has {here}; build and push the image from the same commit, or compile the package again"
        )


def _installed(modules: str) -> str | None:
    """Returns the digest of modules as they are here; None when one is not."""
    try:
        return _digest(modules)
    except ModuleNotFoundError:
        return None


def _digest(modules: str) -> str:
    return code_digest(*filter(None, modules.split(",")), alone=_ENTRYPOINT)


def _argument(command: list[str], flag: str) -> str | None:
    return command[command.index(flag) + 1] if flag in command[:-1] else None
