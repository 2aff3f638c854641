"""Sets the times of a run on Kubeflow Pipelines beside those of the same run on this machine, component by component.

    petseg run --config FILE --pipeline-root "$(mktemp --directory)" --json > here.json
    petseg kubeflow compile --config FILE --output package.yaml
    petseg kubeflow submit package.yaml --config FILE --json > there.json
    .venv/bin/python benchmarks/pods.py here.json there.json

Give the pipeline a name that the server does not know, or it takes results from its cache. The ratio tells what pods
cost only where cluster and machine are the same, as with kind. Components of the cluster run side by side where they
can, so `all` is less than their sum, to which their drivers come.
"""

import argparse
import json
from pathlib import Path
from typing import Any


def main() -> None:
    """Prints a table in Markdown, and whether both runs measured the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("here", type=Path, help="record of the run on this machine")
    parser.add_argument("there", type=Path, help="record of the run on the server")
    options = parser.parse_args()
    here, there = (json.loads(file.read_text(encoding="utf-8")) for file in (options.here, options.there))
    local = {node["id"]: node["seconds"] or 0.0 for node in here["nodes"]}
    print("| component | this machine, s | its pod, s | × |")
    print("| --- | ---: | ---: | ---: |")
    for node in there["nodes"]:
        print(_line(node["id"], local.get(node["id"]), node["seconds"]))
    print(_line("all", here["seconds"], there["seconds"]))
    print(f"\nmetrics: {'equal' if _metrics(here) == _metrics(there) else 'different'}")


def _line(what: str, here: float | None, there: float | None) -> str:
    ratio = f"{there / here:.1f}" if here and here >= 1 and there else ""
    return f"| {what} | {_seconds(here)} | {_seconds(there)} | {ratio} |"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f}"


def _metrics(record: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in record["metrics"].items() if value is not None}


if __name__ == "__main__":
    main()
