"""Whether a package was compiled from the code that is to run it.

A package names functions by dotted path; what they do comes with the image. The digest of the code that runs in pods is
an argument of every component, so that an image that was not rebuilt is noticed before it computes anything.
"""

from typing import Any, Final

from pipeline.code_digest import code_digest
from trainer_module.errors import ConfigError

CODE_DIGEST_FLAG: Final = "--code_digest"

_MODULES_IN_PODS: Final = (
    "pipeline.kubeflow.entrypoint",
    "components.import_schema.executor",
    "components.model_pusher.executor",
    "components.segmentation_evaluation.metric",
    "components.tfds_example_gen.driver",
    "trainer_module.preprocessing",
    "trainer_module.trainer",
)


def installed_code_digest() -> str:
    """Returns the digest of the code that pods of this installation run."""
    return code_digest(*_MODULES_IN_PODS)


def check_compiled_by_this_code(pipeline_spec: dict[str, Any]) -> None:
    """Checks that every component of a package expects the code that is installed here.

    Raises:
      ConfigError: One expects other code, or none.
    """
    here = installed_code_digest()
    executors = pipeline_spec.get("deploymentSpec", {}).get("executors", {})
    for label, executor in sorted(executors.items()):
        expected = _digest_argument(executor.get("container", {}).get("command", []))
        if expected != here:
            raise ConfigError(
                f"the package was compiled by another version of petseg: {label} expects the code "
                f"{expected or 'of an unknown version'}, and {here} is installed; compile it again"
            )


def check_digest(expected: str) -> None:
    """Checks in a pod that the image has the code that the package was compiled from.

    Raises:
      ConfigError: It has other code.
    """
    here = installed_code_digest()
    if expected != here:
        raise ConfigError(
            f"this image holds other code than the package was compiled from: the package expects {expected}, the "
            f"image has {here}; build and push the image from the same commit, or compile the package again"
        )


def _digest_argument(command: list[str]) -> str | None:
    if CODE_DIGEST_FLAG not in command[:-1]:
        return None
    return command[command.index(CODE_DIGEST_FLAG) + 1]
