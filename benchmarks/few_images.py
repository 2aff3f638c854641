"""Trains networks on few images, and prints and draws what each number of images is worth on the test split.

    petseg run --preset pets --set data.data_dir=DIR --set pipeline.root=ROOT --to Transform
    petseg run … --set trainer.model=unet --to Transform
    .venv/bin/python benchmarks/few_images.py --root ROOT --results few_images.jsonl --plot few_images.svg

The images are a random part of the train split, drawn by the seed of the preset; the fewer are among the more. All else
is as the preset has it, or `--set`, and the training is the Trainer's own, in a process of its own. Nothing is watched
and nothing is chosen: the last epoch counts. Only what Transform computed of all images, the mean and deviation of
`standardize`, is of all of them.

A network whose encoder has a normalization of its own needs a run up to Transform with it; of the runs below ROOT, the
newest with the right one is taken. A training that ended is a line of the results, and is not done again; one that was
interrupted goes on from its checkpoint below ROOT/few_images.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

_HERE = Path(__file__).parent
_WATCHED = 8
"""Images of `eval` that an epoch ends with, for a Trainer without any has none."""

_BATCH_SIZE = 32
_OUTPUTS = (
    ("Transform", "transformed_examples"),
    ("Transform", "transform_graph"),
    ("SegmentationValidator", "checked_examples"),
)
Result = dict[str, Any]


def key_of(result: Result) -> str:
    """Returns what tells a training from all others: network, images, epochs, and the other settings."""
    return json.dumps([result[name] for name in ("preset", "overrides", "model", "images", "epochs")])


def read_results(file: Path) -> dict[str, Result]:
    """Returns the trainings that ended, by `key_of`; a line that was cut short is none."""
    results = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            result = json.loads(line)
        except ValueError:
            continue
        results[key_of(result)] = result
    return results


def append_result(file: Path, result: Result) -> None:
    """Adds a line that is on the disk when this returns; a line before it that was cut short stays one of its own."""
    with file.open("ab+") as opened:
        if opened.tell():
            opened.seek(-1, os.SEEK_END)
            opened.write(b"" if opened.read() == b"\n" else b"\n")
        opened.write(json.dumps(result).encode() + b"\n")
        opened.flush()
        os.fsync(opened.fileno())


def write_subset(patterns: Sequence[str], count: int, seed: int, file: Path) -> None:
    """Writes a random part of the records of some files; that of a smaller count is among that of a larger one.

    Raises:
      SystemExit: There are fewer records.
    """
    import tensorflow as tf

    paths = sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))
    records = [record.numpy() for record in tf.data.TFRecordDataset(paths, compression_type="GZIP")]
    if count > len(records):
        raise SystemExit(f"--images {count}, but the train split of the run has {len(records)}")
    chosen = np.random.default_rng(seed).permutation(len(records))[:count]
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        for index in sorted(chosen):
            writer.write(records[index])


def prepared_data(root: str, config: Any) -> list[Path]:
    """Returns what the newest run left whose Transform made what a configuration trains on, as `_OUTPUTS` has it.

    Raises:
      SystemExit: There is none.
    """
    from pipeline.report.facts import output_directory
    from pipeline.runs.store import RunStore

    store = RunStore(root)
    wanted = {name: getattr(config.data, name) for name in ("dataset", "image_size", "normalization")}
    for run_id in store.run_ids():
        record = store.record(run_id)
        found = record.settings.get("data", {})
        outputs = [output_directory(record, node, name) for node, name in _OUTPUTS]
        there = [output for output in outputs if isinstance(output, Path)]
        if len(there) == len(_OUTPUTS) and {name: found.get(name) for name in wanted} == wanted:
            return there
    settings = " ".join(f"--set data.{name}={value}" for name, value in wanted.items())
    raise SystemExit(
        f"no run below {root!r} has passed Transform with {wanted}: petseg run --preset {config.preset} "
        f"--set pipeline.root={root} --set trainer.model={config.trainer.model} {settings} --to Transform"
    )


def train(config: Any, transformed: Path, graph: Path, images: int, directory: Path) -> Result:
    """Trains as the Trainer does, on a part of the train split; the model is `directory`/model.

    Args:
      config: The resolved configuration.
      transformed: What Transform left, with a folder `Split-…` a split.
      graph: The transform graph.
      images: How many.
      directory: What the training leaves; its checkpoints, too.

    Returns:
      `parameters`, `steps` and `train_seconds` of all epochs together.
    """
    from trainer_module.checkpoints import CHECKPOINT_DIR_VARIABLE
    from trainer_module.trainer import HISTORY_FILE_NAME, run_fn

    os.environ[CHECKPOINT_DIR_VARIABLE] = str(directory / "checkpoints")
    directory.mkdir(parents=True, exist_ok=True)
    files = {split: directory / f"{split}.gz" for split in ("train", "eval")}
    write_subset([str(transformed / "Split-train" / "*")], images, config.trainer.seed, files["train"])
    write_subset([str(transformed / "Split-eval" / "*")], _WATCHED, config.trainer.seed, files["eval"])
    run_fn(
        SimpleNamespace(
            custom_config={
                "data": config.data.model_dump(mode="json"),
                "trainer": config.trainer.model_dump(mode="json"),
            },
            transform_output=str(graph),
            train_files=[str(files["train"])],
            eval_files=[str(files["eval"])],
            model_run_dir=str(directory),
            serving_model_dir=str(directory / "model"),
            base_model=None,
        )
    )
    history = json.loads((directory / HISTORY_FILE_NAME).read_text(encoding="utf-8"))
    steps = config.trainer.steps_per_epoch or max(1, images // config.trainer.batch_size)
    return {
        "parameters": history["parameters"],
        "steps": steps * config.trainer.epochs,
        "train_seconds": sum(epoch["seconds"] for epoch in history["epochs"]),
    }


def evaluate(model_directory: Path, examples: Sequence[str]) -> Result:
    """Returns accuracy, mean IoU and the IoU of each class of a model on files of raw examples, and their number."""
    import tensorflow as tf

    from components.model_evaluator.sums import EvaluationSums
    from pipeline.models.loading import ServedModel

    model = ServedModel.load(str(model_directory))
    names = model.card.class_names
    sums = EvaluationSums(len(names))
    paths = sorted(path for pattern in examples for path in tf.io.gfile.glob(pattern))
    for batch in tf.data.TFRecordDataset(paths, compression_type="GZIP").batch(_BATCH_SIZE):
        for outputs in model.evaluate(list(batch.numpy())):
            sums.add(outputs)
    metrics = sums.metrics(names, model.card.image_size**2)
    return {
        "test_images": sums.examples,
        **{name: metrics[name] for name in ("accuracy", "mean_iou", *(f"iou_{name}" for name in names))},
    }


def train_and_evaluate(asked: Result, root: str) -> Result:
    """Does one training; returns its line of the results."""
    from pipeline.config.loading import load_config

    trainer = {"model": asked["model"], "epochs": asked["epochs"], "sample_epochs": []}
    overrides = [*asked["overrides"], *(f"trainer.{name}={value}" for name, value in trainer.items())]
    config = load_config(preset=asked["preset"], overrides=overrides)
    transformed, graph, raw = prepared_data(root, config)
    folder = "-".join([asked["model"], str(asked["images"]), str(asked["epochs"])])
    directory = Path(root) / "few_images" / folder
    result = asked | train(config, transformed, graph, asked["images"], directory)
    started = time.perf_counter()
    result |= evaluate(directory / "model", [str(raw / f"Split-{config.evaluation.split}" / "*")])
    return result | {"evaluation_seconds": time.perf_counter() - started}


def all_results(arguments: argparse.Namespace) -> Iterator[Result]:
    """Yields each training that was asked for, done now or before."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": f"{_HERE.parent}:{_HERE}"}
    done = read_results(arguments.results)
    for images, epochs in zip(arguments.images, arguments.epochs, strict=True):
        for model in arguments.models:
            asked = {"preset": arguments.preset, "overrides": arguments.overrides}
            asked |= {"model": model, "images": images, "epochs": epochs}
            if key_of(asked) not in done:
                command = [sys.executable, __file__, "--root", arguments.root, "--training", json.dumps(asked)]
                finished = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
                done[key_of(asked)] = json.loads(finished.stdout.splitlines()[-1])
                append_result(arguments.results, done[key_of(asked)])
            yield done[key_of(asked)]


def report_line(result: Result) -> str:
    """Returns a row of the table."""
    of_classes = " | ".join(f"{value:.3f}" for name, value in result.items() if name.startswith("iou_"))
    return (
        f"| {result['model']} | {result['images']:,} | {result['epochs']} | {result['steps']:,} "
        f"| {result['accuracy']:.4f} | {result['mean_iou']:.4f} | {of_classes} | {result['train_seconds']:,.0f} |"
    )


def draw(results: Sequence[Result], file: Path) -> None:
    """Draws mean IoU over the number of images, a curve for each network, into a picture file."""
    import matplotlib as mpl

    from pipeline.report.svg import FIRST, INK, MUTED, SECOND, STYLE, Chart

    with mpl.rc_context(STYLE):
        chart = Chart(440, 280, "few-images")
        models = list(dict.fromkeys(result["model"] for result in results))
        for model, (color, line) in zip(
            models, ((FIRST, "-"), (SECOND, "--"), (MUTED, ":"), (INK, "-.")), strict=False
        ):
            points = sorted((result["images"], result["mean_iou"]) for result in results if result["model"] == model)
            chart.axes.plot(*zip(*points, strict=True), "o", linestyle=line, color=color, linewidth=2, label=model)
        counts = sorted({result["images"] for result in results})
        chart.axes.set_xscale("log")
        chart.axes.set_xticks(counts, [f"{count:,}" for count in counts])
        chart.axes.minorticks_off()
        chart.axes.set(xlabel="images trained on", ylabel="mean IoU (test)")
        chart.figure.legend(loc="outside upper left", ncols=4)
        chart.save(file)


def main() -> None:
    """Prints a Markdown table, row by row, and draws it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", required=True, help="pipeline root in which a run has passed Transform")
    parser.add_argument("--preset", default="pets")
    parser.add_argument("--models", nargs="+", default=["unet", "unet_lite0"])
    parser.add_argument("--images", type=int, nargs="+", default=[100, 400, 1600])
    parser.add_argument("--epochs", type=int, nargs="+", default=[40, 20, 10], help="for each number of images")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--results", type=Path, default=Path("few_images.jsonl"))
    parser.add_argument("--plot", type=Path, help="picture file, as few_images.svg")
    parser.add_argument("--training", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.training:
        print(json.dumps(train_and_evaluate(json.loads(arguments.training), arguments.root)))
        return
    if len(arguments.epochs) != len(arguments.images):
        parser.error(f"--epochs has {len(arguments.epochs)} numbers, and --images {len(arguments.images)}")
    results = []
    for result in all_results(arguments):
        if not results:
            classes = [name.replace("iou_", "IoU ") for name in result if name.startswith("iou_")]
            columns = ["network", "images", "epochs", "steps", "accuracy", "mean IoU", *classes, "s"]
            print("| " + " | ".join(columns) + " |\n|" + " --- |" + " ---: |" * (len(columns) - 1), flush=True)
        results.append(result)
        print(report_line(result), flush=True)
    if arguments.plot:
        draw(results, arguments.plot)


if __name__ == "__main__":
    main()
