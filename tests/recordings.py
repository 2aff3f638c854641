"""What real servers were seen to answer and to hand on; the `README.md` beside each recording says more."""

import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded_kubeflow"


def recorded(name: str) -> Any:
    """Returns one of the recordings, read anew: `"api_conversation"`, `"launcher_arguments"`, `"run_done"`."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def recorded_docker() -> Any:
    """Returns the answers of a Docker engine, read anew."""
    return json.loads((Path(__file__).parent / "recorded_docker" / "engine.json").read_text(encoding="utf-8"))
