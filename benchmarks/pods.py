"""Times a run on Kubeflow Pipelines beside the same run on this machine, component by component.

    .venv/bin/python benchmarks/pods.py --config kubeflow/examples/cpu.toml

The configuration says where the server is; both runs compute everything. The ratio tells what pods cost only where
cluster and machine are the same, as with kind. What lies between the components of the cluster, their drivers, is the
last line but one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

_PETSEG = Path(sys.executable).with_name("petseg")


def run_here(settings: list[str], folder: Path) -> dict[str, Any]:
    """Runs the pipeline on this machine; returns its record."""
    return _record("run", *settings, "--set", f"pipeline.root={folder / 'root'}", "--json")


def run_there(settings: list[str], folder: Path) -> dict[str, Any]:
    """Compiles the pipeline and runs it on the server; returns its record."""
    package = folder / "package.yaml"
    subprocess.run([_PETSEG, "kubeflow", "compile", *settings, "--output", package], check=True, capture_output=True)
    return _record("kubeflow", "submit", str(package), *settings, "--json")


def _record(*command: str) -> dict[str, Any]:
    ended = subprocess.run([_PETSEG, *command], check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(ended.stdout))


def main() -> None:
    """Runs both, one after the other, and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="names the server, and what to run")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="as of petseg")
    options = parser.parse_args()
    # A name of its own: the server takes nothing from the cache.
    overrides = [*options.overrides, f"pipeline.name=petseg-pods-{uuid.uuid4().hex[:8]}"]
    settings = ["--config", str(options.config), *(word for text in overrides for word in ("--set", text))]
    with tempfile.TemporaryDirectory() as directory:
        there = run_there(settings, Path(directory))
        here = run_here(settings, Path(directory))
    local = {node["id"]: node["seconds"] or 0.0 for node in here["nodes"]}
    print("| component | this machine, s | pods, s | × |")
    print("| --- | ---: | ---: | ---: |")
    for node in there["nodes"]:
        _print_line(node["id"], local.get(node["id"]), node["seconds"])
    computed = sum(node["seconds"] for node in there["nodes"])
    _print_line("drivers and what else is between", None, max(0.0, there["seconds"] - computed))
    _print_line("all", here["seconds"], there["seconds"])


def _print_line(what: str, here: float | None, there: float) -> None:
    ratio = f"{there / here:.1f}" if here and here >= 1 else ""
    print(f"| {what} | {'' if here is None else f'{here:.0f}'} | {there:.0f} | {ratio} |")


if __name__ == "__main__":
    main()
