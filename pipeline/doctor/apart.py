"""Questions that are answered in a process of their own: what needs heavy libraries, or may hang or crash.

    python -P -m petseg.run_module pipeline.doctor.apart NAME < CONFIGURATION

A library that cannot be imported, ends its process or never answers is then a finding, and nothing more. The answer is
the last line of standard output; libraries write where they like before it.
"""

import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from petseg.processes import command
from pipeline.config.schema import Config
from pipeline.doctor.findings import reason
from pipeline.terminal.streams import json_text
from trainer_module.errors import PetsegError

QUESTIONS: Final = {
    "modules": "pipeline.doctor.packages:import_modules",
    "data set": "pipeline.doctor.data:look_at_data_set",
    "Beam": "pipeline.doctor.data:look_at_beam",
    "pushed models": "pipeline.doctor.places:look_at_pushed_models",
    "Kubeflow": "pipeline.doctor.services:look_at_kubeflow",
    "KServe": "pipeline.doctor.services:look_at_kserve",
    "MLflow": "pipeline.doctor.services:look_at_mlflow",
}
"""What can be asked to the function that answers: it takes the configuration, and returns what JSON can say."""

_MARK: Final = "petseg doctor: "
_MODULE: Final = "pipeline.doctor.apart"


class NoAnswerError(PetsegError):
    """The process ended without an answer, or did not end."""


def ask(question: str, config: Config, seconds: float) -> Any:
    """Returns the answer to a question of `QUESTIONS`.

    Raises:
      PetsegError: What answers has raised an error, which it says; or there is no answer.
    """
    try:
        ended = subprocess.run(
            command(_MODULE, question),
            input=config.model_dump_json(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"no answer within {seconds:g} s") from None
    lines = ended.stdout.splitlines()
    if not lines or not lines[-1].startswith(_MARK):
        raise NoAnswerError(_how_it_ended(ended.returncode, ended.stderr))
    answer = json.loads(lines[-1].removeprefix(_MARK))
    if answer["error"]:
        raise PetsegError(answer["error"])
    return answer["answer"]


def main(arguments: Sequence[str]) -> None:
    """Answers one question about the configuration that comes by standard input."""
    (question,) = arguments
    config = Config.model_validate_json(sys.stdin.read())
    module, _, function = QUESTIONS[question].partition(":")
    answer, error = None, ""
    try:
        answer = getattr(importlib.import_module(module), function)(config)
    except Exception as failure:  # noqa: BLE001 (whatever a broken installation raises)
        error = reason(failure)
    text = " ".join(json_text({"answer": answer, "error": error}).splitlines())
    print(f"\n{_MARK}{text}", flush=True)


def _how_it_ended(code: int, said: str) -> str:
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    how = f"its process was ended by {signal.Signals(-code).name}" if code < 0 else f"its process ended with {code}"
    return f"{how}: {last}" if last else how
