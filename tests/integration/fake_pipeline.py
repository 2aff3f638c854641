"""A pipeline of trivial components under the names of the real ones, to try the runner with.

What the Trainer does instead of training is told by the environment variable `FAKE_TRAINER`, which no cache key knows.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from tfx import v1 as tfx
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelEvaluation, PushedModel

from components.run_report.component import RunReport
from pipeline.beam.notices import notice
from pipeline.config.schema import Config
from trainer_module.errors import DataError

TRAINER_VARIABLE = "FAKE_TRAINER"


@component
def TfdsExampleGen(examples: OutputArtifact[Examples], seed: Parameter[int]) -> None:  # noqa: N802
    examples.set_string_custom_property("dataset_name", "fake_pets")
    examples.set_string_custom_property("dataset_version", f"1.0.{seed}")
    examples.set_string_custom_property("split_counts", json.dumps({"train": 1360, "eval": 40}))


@component
def Trainer(  # noqa: N802
    examples: InputArtifact[Examples], model_run: OutputArtifact[Model], epochs: Parameter[int]
) -> None:
    assert examples.get_string_custom_property("dataset_name") == "fake_pets"
    directory = Path(model_run.uri)
    (directory / "half_written").touch()
    os.write(2, b"flood of a C++ library\n")
    tempfile.mkstemp()
    subprocess.run(["mktemp"], check=True)
    what = os.environ.get(TRAINER_VARIABLE, "")
    if what == "data error":
        raise DataError("split 'train', file 'a.jpg': expected a mask, got 3")
    if what == "error":
        raise ZeroDivisionError("one of the many")
    if what == "notice":
        notice("waiting since 15 s: no worker")
    if what == "interrupt":
        raise KeyboardInterrupt
    if what.startswith("sleep"):
        _train_slowly(directory, epochs, float(what.split()[1]))
    numbers = {"loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.75}
    history = {"model": "fake", "parameters": 1234567, "epochs": [{"epoch": n + 1, **numbers} for n in range(epochs)]}
    (directory / "history.json").write_text(json.dumps(history))


@component
def Evaluator(  # noqa: N802
    model_run: InputArtifact[Model],
    evaluation: OutputArtifact[ModelEvaluation],
    blessing: OutputArtifact[ModelBlessing],
    min_accuracy: Parameter[float],
) -> None:
    assert (Path(model_run.uri) / "history.json").is_file()
    (Path(evaluation.uri) / "min_accuracy").write_text(str(min_accuracy))


@component
def Pusher(evaluation: InputArtifact[ModelEvaluation], pushed_model: OutputArtifact[PushedModel]) -> None:  # noqa: N802
    blessed = float((Path(evaluation.uri) / "min_accuracy").read_text()) <= 0.75
    pushed_model.set_int_custom_property("pushed", int(blessed))
    pushed_model.set_string_custom_property("pushed_destination", pushed_model.uri)


def create_pipeline(config: Config, *, pipeline_root, enable_cache=True, metadata_connection_config=None, **_):
    example_gen = TfdsExampleGen(seed=config.trainer.seed)
    trainer = Trainer(examples=example_gen.outputs["examples"], epochs=config.trainer.epochs)
    min_accuracy = config.evaluation.min_accuracy or 0.0
    evaluator = Evaluator(model_run=trainer.outputs["model_run"], min_accuracy=min_accuracy)
    pusher = Pusher(evaluation=evaluator.outputs["evaluation"])
    components = [example_gen, trainer, evaluator, pusher]
    run_report = RunReport(
        report_fn="pipeline.report.run_report.report_run",
        settings=config.model_dump(mode="json"),
        node_ids=[component.id for component in components],
        inputs={
            "checked_examples": example_gen.outputs["examples"],
            "evaluation": evaluator.outputs["evaluation"],
            "pushed_model": pusher.outputs["pushed_model"],
        },
    )
    return tfx.dsl.Pipeline(
        pipeline_name=config.pipeline.name,
        pipeline_root=pipeline_root,
        components=[*components, run_report],
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
    )


def main(arguments: list[str]) -> None:
    """The command line, whose `run` has this pipeline."""
    import pipeline.local.runner
    from pipeline.cli import main

    pipeline.local.runner._graph = lambda: create_pipeline
    main(arguments)


def _train_slowly(directory: Path, epochs: int, seconds: float) -> None:
    steps = 20
    with Path(os.environ["PETSEG_PROGRESS_FILE"]).open("a", buffering=1) as file:
        for epoch in range(1, epochs + 1):
            for step in range(1, steps + 1):
                time.sleep(seconds / epochs / steps)
                done = {"epoch": epoch, "epochs": epochs, "step": step, "steps": steps}
                file.write(json.dumps({**done, "loss": 1 / (epoch + step), "accuracy": 0.5 + epoch / 50}) + "\n")
                (directory / "checkpoint").touch()
