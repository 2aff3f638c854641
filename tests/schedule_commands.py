"""The schedule commands in tests, and a package that they schedule."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.cli import exit_code
from pipeline.kubeflow.package import Package

PIPELINE = "petseg-demo"


def make_package(
    image: str = "petseg:1",
    name: str = PIPELINE,
    defaults: bool = True,
    notifies: bool = False,
    decides: bool = False,
) -> Package:
    """Returns a package of one component."""
    parameters: dict[str, dict[str, Any]] = {
        "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
        "min_accuracy": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
        "dataset_version": {"parameterType": "STRING", "defaultValue": ""},
        "force_bless": {"parameterType": "STRING", "defaultValue": ""},
        "reset_baseline": {"parameterType": "BOOLEAN", "defaultValue": False},
    }
    if notifies:
        parameters["notify"] = {"parameterType": "STRING", "defaultValue": "scheduled"}
    if decides:
        parameters["only_if_needed"] = {"parameterType": "BOOLEAN", "defaultValue": False}
    if not defaults:
        del parameters["epochs"]["defaultValue"]
    tasks = {"Trainer": {"taskInfo": {"name": "Trainer"}, "componentRef": {"name": "comp-Trainer"}}}
    return Package(
        {
            "schemaVersion": "2.1.0",
            "pipelineInfo": {"name": name},
            "root": {"inputDefinitions": {"parameters": parameters}, "dag": {"tasks": tasks}},
            "components": {"comp-Trainer": {"executorLabel": "exec-Trainer"}},
            "deploymentSpec": {"executors": {"exec-Trainer": {"container": {"image": image}}}},
        },
        {},
    )


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Commands:
    """The command line, with the settings of a schedule."""

    def __init__(self, read: Callable[[], tuple[str, str]], *options: str) -> None:
        self._read = read
        self._options = options

    def __call__(self, command: str, *arguments: str, **settings: Any) -> Outcome:
        """Runs a schedule command; keywords are settings, `schedule__cron="0 3 * * 1"`."""
        overrides = [f"--set={key.replace('__', '.')}={value}" for key, value in settings.items()]
        self._read()
        code = exit_code(["schedule", command, *arguments, "--preset", "demo", *self._options, *overrides])
        return Outcome(code, *self._read())
