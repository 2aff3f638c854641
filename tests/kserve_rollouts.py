"""The rollout that KServe's real controller was recorded with, to be done again with it or with its stand-in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from components.kserve_deployer.cluster import Cluster
from components.kserve_deployer.rollout import Outcome, deploy, promote, rollback
from components.kubernetes_api import Object
from trainer_module.errors import PetsegError

PERCENT = 20

_RECORDED = Path(__file__).parent / "recorded_kserve"


def recorded(release: str) -> dict[str, Any]:
    """Returns what was recorded of `"0.20.0"` or of `"after_0.20.0"`."""
    return json.loads((_RECORDED / f"{release}.json").read_text(encoding="utf-8"))


def replay(
    steps: list[str], cluster: Cluster, template: Object, uri: Callable[[int], str]
) -> Iterator[tuple[str, Outcome | PetsegError]]:
    """Does the steps, such as `deploy 1`, `canary 2`, `promote` and `rollback`, and yields what came of each.

    Args:
      steps: The steps.
      cluster: Where.
      template: The InferenceService without models.
      uri: Gives the storage URI of a version.
    """
    for step in steps:
        what, _, version = step.partition(" ")
        try:
            if version:
                percent = PERCENT if what == "canary" else None
                yield step, deploy(cluster, template, uri(int(version)), percent)
            else:
                yield step, {"promote": promote, "rollback": rollback}[what](cluster)
        except PetsegError as error:
            yield step, error


def kept(before: list[Object], after: list[Object]) -> list[tuple[str, str, bool]]:
    """Returns the Deployment and the version of each pod, and whether it was there before."""
    names = {pod["name"] for pod in before}
    return sorted((_deployment(pod["name"]), pod["version"], pod["name"] in names) for pod in after)


def _deployment(pod: str) -> str:
    return pod[: pod.index("predictor") + len("predictor")]
