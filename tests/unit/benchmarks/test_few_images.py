"""Trainings on few images: which images, what is kept of them, and one of them, tiny."""

import json
from pathlib import Path

import pytest
import tensorflow as tf
from tiny_training import DATA, tiny_network, write_data

from pipeline.config.loading import load_config
from pipeline.runs.record import NodeRecord, NodeState, RunRecord
from trainer_module import networks
from trainer_module.checkpoints import CHECKPOINT_DIR_VARIABLE

SETTINGS = ["trainer.model=unet", "trainer.epochs=2", "trainer.batch_size=2", "trainer.sample_epochs=[]"]
RESULT = {
    "preset": "pets", "overrides": [], "model": "unet", "images": 4, "epochs": 2, "parameters": 9, "steps": 4,
    "train_seconds": 1.5, "test_images": 5, "accuracy": 0.5, "mean_iou": 0.25, "iou_pet": 0.125, "iou_border": 0.375,
}  # fmt: skip


@pytest.fixture
def few_images():
    import few_images

    return few_images


def records(file: Path) -> list[bytes]:
    return [record.numpy() for record in tf.data.TFRecordDataset(str(file), compression_type="GZIP")]


def write(file: Path, content: list[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        for record in content:
            writer.write(record)


def test_fewer_images_are_among_more_and_the_seed_chooses(few_images, tmp_path):
    everything = [b"%d" % number for number in range(20)]
    write(tmp_path / "all-0.gz", everything[:12])
    write(tmp_path / "all-1.gz", everything[12:])
    subsets = {}
    for name, count, seed in (("5", 5, 0), ("10", 10, 0), ("again", 5, 0), ("other", 5, 1)):
        few_images.write_subset([str(tmp_path / "all-*")], count, seed, tmp_path / name)
        subsets[name] = records(tmp_path / name)
    assert [len(set(subset)) for subset in subsets.values()] == [5, 10, 5, 5]
    assert set(subsets["5"]) < set(subsets["10"]) < set(everything)
    assert subsets["5"] == subsets["again"] != subsets["other"]
    assert subsets["10"] != everything[:10]
    with pytest.raises(SystemExit, match="--images 21, but the train split of the run has 20"):
        few_images.write_subset([str(tmp_path / "all-*")], 21, 0, tmp_path / "x")


def test_an_interruption_costs_the_line_that_was_being_written_only(few_images, tmp_path):
    file = tmp_path / "results.jsonl"
    assert few_images.read_results(file) == {}
    few_images.append_result(file, RESULT)
    with file.open("a") as opened:
        opened.write('{"model": "un')
    other = RESULT | {"images": 8}
    few_images.append_result(file, other)
    assert [*few_images.read_results(file).values()] == [RESULT, other]
    assert file.read_text().count("\n") == 3


def test_what_is_there_is_not_trained_again(few_images, tmp_path, monkeypatch, capsys):
    trained = []

    def run(command, **_):
        asked = json.loads(command[-1])
        trained.append((asked["model"], asked["images"], asked["epochs"]))
        return type("Finished", (), {"stdout": "noise\n" + json.dumps(RESULT | asked)})

    monkeypatch.setattr(few_images.subprocess, "run", run)
    results, plot = tmp_path / "results.jsonl", tmp_path / "curve.svg"
    arguments = [
        "few_images.py", "--root", "r", "--results", str(results), "--plot", str(plot), "--models", "unet", "blog",
        "--images", "4", "8", "--epochs", "2", "1",
    ]  # fmt: skip
    few_images.append_result(results, RESULT)
    for _ in range(2):
        monkeypatch.setattr("sys.argv", arguments)
        few_images.main()
    assert trained == [("blog", 4, 2), ("unet", 8, 1), ("blog", 8, 1)]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| network | images | epochs | steps | accuracy | mean IoU | IoU pet | IoU border | s |"
    assert lines[2] == "| unet | 4 | 2 | 4 | 0.5000 | 0.2500 | 0.125 | 0.375 | 2 |"
    assert len(lines) == 2 * 6
    assert "images trained on" in plot.read_text()


def test_the_newest_run_that_has_the_right_normalization_is_taken(few_images, tmp_path):
    config = load_config(preset="pets")
    for run_id, normalization in (("1", config.data.normalization), ("2", config.data.normalization), ("3", "unit")):
        record = RunRecord.begin(run_id, config, tmp_path / "log")
        record.settings["data"]["normalization"] = normalization
        outputs = {name: str(tmp_path / run_id / name) for _, name in few_images._OUTPUTS}
        for directory in outputs.values():
            Path(directory).mkdir(parents=True)
        record.nodes = [
            NodeRecord(id=node, state=NodeState.COMPLETE, outputs=outputs) for node, _ in few_images._OUTPUTS[1:]
        ]
        (tmp_path / "runs" / run_id).mkdir(parents=True)
        (tmp_path / "runs" / run_id / "run.json").write_text(record.model_dump_json())
    found = few_images.prepared_data(str(tmp_path), config)
    assert found == [tmp_path / "2" / name for _, name in few_images._OUTPUTS]
    other = load_config(preset="pets", overrides=["data.image_size=64"])
    with pytest.raises(SystemExit, match=r"petseg run --preset pets .*--set data.image_size=64 .*--to Transform"):
        few_images.prepared_data(str(tmp_path), other)


@pytest.mark.slow
def test_a_training_is_the_trainers_and_its_model_is_evaluated(few_images, tmp_path, monkeypatch):
    monkeypatch.setitem(networks.MODELS, "unet", tiny_network)
    monkeypatch.setenv(CHECKPOINT_DIR_VARIABLE, "")
    data = write_data(tmp_path / "data")
    transformed = tmp_path / "transformed"
    for split in ("train", "eval"):
        write(transformed / f"Split-{split}" / "part.gz", records(data / f"{split}.gz"))
    raw = [record.numpy() for record in tf.data.TFRecordDataset(str(data / "raw_eval"))]
    write(tmp_path / "raw" / "Split-test" / "part.gz", raw)
    monkeypatch.setattr(few_images, "_WATCHED", 2)
    config = load_config(preset="pets", overrides=SETTINGS).model_copy(update={"data": DATA})
    directory = tmp_path / "training"
    result = few_images.train(config, transformed, data / "graph", 4, directory)
    assert (result["steps"], len(records(directory / "train.gz"))) == (4, 4)
    assert result["train_seconds"] > 0
    assert not [*directory.glob("checkpoints/**/*.npz")]
    found = few_images.evaluate(directory / "model", [str(tmp_path / "raw" / "Split-test" / "*")])
    assert found["test_images"] == 5
    assert [*found] == ["test_images", "accuracy", "mean_iou", "iou_pet", "iou_background", "iou_border"]
    assert 0 <= found["mean_iou"] <= 1
