"""What is asked of a dry-run, and the record that it starts with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.kubeflow.dry_run.package_settings import package_settings
from pipeline.kubeflow.package import Package
from pipeline.run_record import RunRecord


@dataclass(frozen=True)
class DryRunRequest:
    """How to execute a package."""

    root: str
    """Directory for everything that it leaves."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Values of runtime parameters, on top of the package's defaults."""

    use_cache: bool = True
    """Whether tasks that the package lets be cached are."""

    keep_pods: bool = False
    """Whether the directories of the pods stay when they are done."""

    show_on_stderr: bool = False
    """Whether the display goes to standard error, to keep standard output for a machine."""


def new_record(package: Package, parameters: Mapping[str, Any], run_id: str, log: Path) -> RunRecord:
    """Returns the record of a dry-run that starts now.

    Its settings are what the package tells of the configuration, and the runtime parameters.
    """
    identity = {"name": package.name, "digest": package.digest}
    return RunRecord(
        run_id=run_id,
        pipeline=package.name,
        preset=None,
        started=datetime.now(UTC),
        settings=package_settings(package) | {"parameters": dict(parameters), "package": identity},
        log=str(log),
    )
