"""A real cluster with Kubeflow Pipelines, as its users see it: through petseg's commands, and kubectl behind them.

The runs are of one pipeline with a name of its own, so that nothing comes from an earlier session's cache, and of a
few of the demo's drawn pets.
"""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

ROOT = Path(__file__).parents[1]
NAMESPACE = "kubeflow"
ACCOUNT = "petseg-runner"
EPOCHS = 40
"""Of the uninterrupted training: long enough to be interrupted."""

RUN_SECONDS = 45 * 60
STEP_SECONDS = 10 * 60

METADATA = "PETSEG_TEST_METADATA"
_IMAGE = "PETSEG_TEST_IMAGE"


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """What `--json` printed."""
        return json.loads(self.out)


class Cluster:
    """The cluster, by petseg's commands and, where a test looks behind them, by kubectl."""

    def __init__(self, directory: Path, host: str) -> None:
        self.directory = directory
        self.host = host
        self.pipeline = f"petseg-test-{uuid.uuid4().hex[:8]}"

    def settings(self, **kubeflow: Any) -> dict[str, Any]:
        """Returns the configuration of the runs, with some settings of `[kubeflow]` in it."""
        return {
            "preset": "demo",
            "pipeline": {"name": self.pipeline},
            "data": {"image_size": 32, "splits": {"train": "train[:80]", "eval": "train[360:]", "test": "test[:40]"}},
            # Trainings of other lengths differ by some hundredths, with so few pictures.
            "evaluation": {"min_accuracy": 0.5, "change_thresholds": {"accuracy": {"min": -0.5}}},
            "trainer": {"epochs": EPOCHS},
            "kubeflow": {
                "host": self.host,
                "image": os.environ.get(_IMAGE, "petseg:latest"),
                "service_account": ACCOUNT,
                "retry": {"backoff_seconds": 5},
                **kubeflow,
            },
        }

    def write(self, settings: dict[str, Any]) -> Path:
        """Writes a configuration."""
        file = self.directory / f"{uuid.uuid4().hex[:8]}.toml"
        file.write_text(tomli_w.dumps(settings), encoding="utf-8")
        return file

    def petseg(self, *arguments: object, config: Path | None = None, code: int | None = 0, **environment: str) -> Ended:
        """Calls petseg.

        Args:
          arguments: Words after `petseg`.
          config: Adds `--config`.
          code: The exit code that it must have; None for any.
          environment: Changes to the environment.
        """
        ended = subprocess.run(
            self._command(*arguments, config=config),
            cwd=self.directory,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        assert code is None or ended.returncode == code, (
            f"{arguments}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: object, config: Path) -> "subprocess.Popen[str]":
        """Starts petseg, and does not wait for its end."""
        return subprocess.Popen(
            self._command(*arguments, config=config),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def compile(self, settings: dict[str, Any]) -> tuple[Path, Path]:
        """Compiles a configuration; returns the package's and the configuration's file."""
        config = self.write(settings)
        package = config.with_suffix(".yaml")
        self.petseg("kubeflow", "compile", "--output", package, config=config)
        return package, config

    def submit(
        self, package: Path, config: Path, *, code: int | None = 0, more: tuple[str, ...] = (), **parameters: object
    ) -> Ended:
        """Submits a package and follows the run to its end."""
        values = [word for name, value in parameters.items() for word in ("--parameter", f"{name}={value}")]
        return self.petseg("kubeflow", "submit", package, "--json", *values, *more, config=config, code=code)

    def submit_only(self, package: Path, config: Path, **parameters: object) -> str:
        """Submits a package; returns the id of the run."""
        return str(self.submit(package, config, more=("--no-wait",), **parameters).record["run_id"])

    def status(self, run_id: str, config: Path) -> dict[str, Any]:
        return self.petseg("kubeflow", "status", run_id, "--json", config=config, code=None).record

    def log(self, run_id: str, component: str, config: Path, *more: object, **environment: str) -> Ended:
        return self.petseg("kubeflow", "logs", run_id, component, *more, config=config, **environment)

    def wait_for_log(self, run_id: str, component: str, text: str, config: Path) -> None:
        """Waits until a component has written a text."""
        self.wait(
            lambda: text in self.petseg("kubeflow", "logs", run_id, component, config=config, code=None).out, text
        )

    def wait(self, is_true: Callable[[], Any], what: str) -> Any:
        """Waits until something is so; returns what `is_true` did."""
        deadline = time.monotonic() + STEP_SECONDS
        while time.monotonic() < deadline:
            found = is_true()
            if found:
                return found
            time.sleep(2)
        raise AssertionError(f"still not after {STEP_SECONDS} s: {what}")

    def kubectl(self, *arguments: object, code: int | None = 0) -> str:
        ended = subprocess.run(
            ["kubectl", "--namespace", NAMESPACE, *map(str, arguments)], capture_output=True, text=True, timeout=300
        )
        assert code is None or ended.returncode == code, f"kubectl {arguments}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def objects(self, kind: str, *selectors: str) -> list[dict[str, Any]]:
        """Returns objects of the namespace."""
        return list(json.loads(self.kubectl("get", kind, "--output", "json", *selectors))["items"])

    def pods(self, run_id: str, component: str) -> list[dict[str, Any]]:
        """Returns the pods of a component of a run, the earliest attempt first."""
        pods = self.objects("pods", "--selector", f"pipeline/runid={run_id}")
        mine = [pod for pod in pods if f".{component}" in _node(pod).replace("(0)", "") and "executor" in _node(pod)]
        return sorted(mine, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def _command(self, *arguments: object, config: Path | None) -> list[str]:
        options = ["--config", str(config)] if config else []
        return [sys.executable, "-m", "petseg", *map(str, arguments), *options]


def _node(pod: dict[str, Any]) -> str:
    """Returns the name of the workflow's node that a pod is of, such as `WORKFLOW.root.Trainer.executor(0)`."""
    return str(pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"])


def states(record: dict[str, Any]) -> dict[str, str]:
    """Returns the components' states by their ids."""
    return {node["id"]: node["state"] for node in record["nodes"]}
