"""What a real Kubeflow Pipelines was seen to answer and to hand on; `recorded_kubeflow/README.md` says more."""

import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded_kubeflow"


def recorded(name: str) -> Any:
    """Returns one of the recordings, read anew: `"api_conversation"`, `"launcher_arguments"`, `"run_done"`."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
