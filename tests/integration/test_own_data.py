"""Images and masks as people keep them, by three commands to a pushed model: here, and as a cluster would run it."""

from pathlib import Path

from forked_processes import forked_processes
from own_data import VOC_CLASSES, VOID, color_coded, pascal_voc, two_classes
from small_network import replace_unet, two_layers
from workplace import without_report

from components.model_pusher.version_store import complete_versions
from pipeline.cli import exit_code
from pipeline.config.loading import load_config
from pipeline.kubeflow.compiler import compile_package
from pipeline.kubeflow.dry_run.runner import dry_run
from pipeline.kubeflow.dry_run.specification import DryRunRequest
from pipeline.local.runner import RunRequest, run_pipeline
from pipeline.runs.record import RunState
from trainer_module import networks

QUICK = (
    "data.image_size=32", "trainer.epochs=1", "trainer.batch_size=8", "trainer.warmup_epochs=0",
    "evaluation.thresholds={accuracy_gain={min=-1}}", "evaluation.min_mean_iou=none", "evaluation.suspects=4",
)  # fmt: skip
"""What is proposed is meant for a model that is wanted; one epoch of two layers shows that all of it fits together."""


def _proposed(draw, root: Path, name: str) -> Path:
    """Draws a source, imports it and has a configuration proposed; returns the configuration file."""
    source, data_dir, config = draw(root / name), str(root / "data"), root / f"{name}.toml"
    assert exit_code(["data", "import", str(source), "--name", name, "--data-dir", data_dir]) == 0
    describe = ["data", "describe", name, "--data-dir", data_dir, "--write-config", str(config)]
    assert exit_code(describe) == 0
    return config


def test_three_commands_end_with_a_pushed_model(tmp_path, monkeypatch):
    config_file = _proposed(pascal_voc, tmp_path, "drawn_objects")
    config = load_config(file=config_file, overrides=(*QUICK, f"pipeline.root={tmp_path / 'root'}"))
    monkeypatch.setitem(networks.MODELS, "unet", two_layers)
    with without_report():
        record = run_pipeline(config, RunRequest())
    assert record.state is RunState.COMPLETE, record.error
    assert complete_versions(config.serving_model_dir)
    assert config.data.class_names == VOC_CLASSES
    assert config.data.ignore_values == (VOID,)
    assert 0.8 < record.metrics["labelled_share"] < 1, "outlines of void are not labelled"


def test_black_and_white_masks_get_a_configuration(tmp_path):
    data = load_config(file=_proposed(two_classes, tmp_path, "drawn_fields")).data
    assert (data.class_names, data.mask_values, data.ignore_values) == (("background", "foreground"), (0, VOID), ())


def test_a_package_of_colour_coded_data_runs_as_on_a_cluster(tmp_path):
    config_file = _proposed(color_coded, tmp_path / "volumes" / "petseg-data", "drawn_tiles")
    config = load_config(file=config_file, overrides=(*QUICK, f"pipeline.root={tmp_path / 'root'}"))
    assert config.data.class_names == ("ground", "water", "forest", "road", "roof")
    with forked_processes(prepare=replace_unet):
        record = dry_run(compile_package(config), DryRunRequest(root=str(tmp_path)))
    assert record.state is RunState.COMPLETE, f"{record.error}\n{Path(record.log).read_text()[-5000:]}"
