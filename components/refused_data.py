"""Where a component leaves what it found in data that it refuses: TFX removes the artifacts of one that fails."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfx.dsl.components.base.base_executor import BaseExecutor

REFUSED_DIRECTORY: Final = "refused"
"""Beside a component's artifacts: what it found, in a directory with the id of the run."""


def refused_directory(uri: str, context: "BaseExecutor.Context") -> str:
    """Returns the directory for what a run found.

    Args:
      uri: Of the output that would have it, were the data not refused.
      context: Of the executor. Its id of the run names the directory; on Kubeflow, which gives it none, that of the
        task.

    Example:
      >>> from tfx.dsl.components.base.base_executor import BaseExecutor
      >>> context = BaseExecutor.Context(pipeline_run_id="20260102-030405-000001")
      >>> refused_directory("/artifacts/pets/DriftDetector/drift/7", context)
      '/artifacts/pets/DriftDetector/refused/20260102-030405-000001'
    """
    run = context.pipeline_run_id or Path(context.get_tmp_path()).name
    return f"{uri.rsplit('/', 2)[0]}/{REFUSED_DIRECTORY}/{run}"
