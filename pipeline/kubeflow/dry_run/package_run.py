"""What the runs of a package on this machine have in common, whatever stands for its pods."""

from dataclasses import dataclass
from typing import Any

from pipeline.kubeflow.compatibility import check_compiled_by_this_code
from pipeline.kubeflow.dry_run.arguments import runtime_values
from pipeline.kubeflow.dry_run.request import DryRunRequest, new_record
from pipeline.kubeflow.dry_run.specification import Task, parse_tasks
from pipeline.kubeflow.package import Package
from pipeline.recorded_run import RecordedRun, record_run
from pipeline.run_record import RunRecord
from pipeline.run_store import RunFiles, RunStore


@dataclass(frozen=True)
class CheckedPackage:
    """A package that can be run here, and how."""

    package: Package
    tasks: list[Task]
    """In the order in which they run."""

    values: dict[str, Any]
    """Of all runtime parameters."""

    request: DryRunRequest


class PackageRun(RecordedRun):
    """One run of a package."""

    def __init__(self, checked: CheckedPackage, store: RunStore, run_id: str, files: RunFiles) -> None:
        """Constructs the run.

        Args:
          checked: What to run.
          store: Where the run is recorded.
          run_id: Its id there.
          files: Its own files there.
        """
        record = new_record(checked.package, checked.values, run_id, files.log)
        super().__init__(store, files, record, show_on_stderr=checked.request.show_on_stderr)
        self._package = checked.package
        self._tasks = checked.tasks
        self._values = checked.values
        self._request = checked.request


def record_package_run(kind: type[PackageRun], package: Package, request: DryRunRequest) -> RunRecord:
    """Checks that a package can be run here, runs it, and returns the record, also of a run that failed.

    Raises:
      ConfigError: The package, a parameter or the root cannot be used; no run was recorded.
      PetsegError: The root cannot be written to, is full, or is used by another run.
    """
    store = RunStore(request.root)
    check_compiled_by_this_code(package.pipeline_spec)
    checked = CheckedPackage(package, parse_tasks(package), runtime_values(package, request.parameters), request)
    return record_run(store, lambda run_id, files: kind(checked, store, run_id, files))
