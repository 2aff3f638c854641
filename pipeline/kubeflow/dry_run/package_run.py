"""What the runs of a package on this machine have in common, whatever stands for its pods."""

from typing import Any

from pipeline.kubeflow.compatibility import check_compiled_by_this_code
from pipeline.kubeflow.dry_run.arguments import runtime_values
from pipeline.kubeflow.dry_run.request import DryRunRequest, new_record
from pipeline.kubeflow.dry_run.specification import Task, parse_tasks
from pipeline.kubeflow.package import Package
from pipeline.recorded_run import RecordedRun, record_run
from pipeline.run_record import RunRecord
from pipeline.run_store import RunFiles, RunStore


class PackageRun(RecordedRun):
    """One run of a package."""

    def __init__(
        self,
        package: Package,
        tasks: list[Task],
        values: dict[str, Any],
        request: DryRunRequest,
        store: RunStore,
        run_id: str,
        files: RunFiles,
    ) -> None:
        """Constructs the run.

        Args:
          package: What to run.
          tasks: Its tasks, in the order in which they run.
          values: Runtime parameters, all of them.
          request: How to run it.
          store: Where the run is recorded.
          run_id: Its id there.
          files: Its own files there.
        """
        record = new_record(package, values, run_id, files.log)
        super().__init__(store, files, record, show_on_stderr=request.show_on_stderr)
        self._package = package
        self._tasks = tasks
        self._values = values
        self._request = request


def record_package_run(kind: type[PackageRun], package: Package, request: DryRunRequest) -> RunRecord:
    """Checks that a package can be run here, runs it, and returns the record, also of a run that failed.

    Raises:
      ConfigError: The package, a parameter or the root cannot be used; no run was recorded.
      PetsegError: The root cannot be written to, is full, or is used by another run.
    """
    store = RunStore(request.root)
    check_compiled_by_this_code(package.pipeline_spec)
    tasks = parse_tasks(package)
    values = runtime_values(package, request.parameters)
    return record_run(store, lambda run_id, files: kind(package, tasks, values, request, store, run_id, files))
