"""What a compiled package tells of the configuration that it was made from."""

import json
from typing import Any, Final

from pipeline.kubeflow.package import Package

_CUSTOM_CONFIG: Final = "custom_config"
_INPUT_CONFIG: Final = "input_config"
_NO_SETTINGS: Final = ("evaluation_split", "code_digest")


def package_settings(package: Package) -> dict[str, Any]:
    """Returns the settings of data, training and evaluation, as far as the package's components are given them."""
    settings: dict[str, Any] = {}
    source = json.loads(_constant(package, "TfdsExampleGen", _CUSTOM_CONFIG).get(_CUSTOM_CONFIG, {}).get("value", "{}"))
    if source:
        splits = _constant(package, "TfdsExampleGen", _INPUT_CONFIG).get("splits", [])
        data = {name: value for name, value in source.items() if name not in _NO_SETTINGS}
        settings["data"] = data | {"splits": {split["name"]: split["pattern"] for split in splits}}
        settings["evaluation"] = {"split": source["evaluation_split"]}
    for task_id in ("Transform", "Trainer"):
        for name, section in _constant(package, task_id, _CUSTOM_CONFIG).items():
            if isinstance(section, dict):
                settings[name] = settings.get(name, {}) | section
    return settings


def _constant(package: Package, task_id: str, parameter: str) -> dict[str, Any]:
    """Returns the JSON object that a task is given; empty where there is none, as in a package of other components."""
    tasks = package.pipeline_spec.get("root", {}).get("dag", {}).get("tasks", {})
    inputs = tasks.get(task_id, {}).get("inputs", {}).get("parameters", {})
    constant = inputs.get(parameter, {}).get("runtimeValue", {}).get("constant")
    found = json.loads(constant) if isinstance(constant, str) else {}
    return found if isinstance(found, dict) else {}
