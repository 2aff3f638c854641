"""ModelProbe lets a good model pass, and says what is wrong with each bad one."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from forked_processes import forked_processes
from tfx.types import standard_artifacts

from components.model_probe.checks import (
    SessionModel,
    check_odd_images,
    check_real_images,
    check_signatures,
    check_unreadable_images,
    check_warmup,
    compare_paths,
    unreadable_images,
)
from components.model_probe.executor import Executor, prepare, run_probe
from components.model_probe.findings import Findings, Measurements, ProbeSettings, WorkDirectory
from trainer_module.model_card import ModelCard
from trainer_module.preprocessing import decode_image, normalize, resize_image

pytestmark = pytest.mark.slow

SMALL_PNG = tf.io.encode_png(np.zeros((9, 9, 1), np.uint8)).numpy()
CARD = ModelCard(class_names=("pet", "background", "border"), mask_values=(1, 2, 3), image_size=16, turns_images=True)


@pytest.fixture(scope="module")
def model(identity_export):
    return SessionModel.load(identity_export)


@pytest.fixture(autouse=True)
def _forked(request):
    """The probe of a good model starts as ever; of the others it matters what it finds, not how it starts."""
    if request.function is test_a_good_model_is_blessed_and_its_cost_is_known:
        yield
        return
    with forked_processes():
        yield


@pytest.fixture
def graph_uri(transformed):
    return transformed.transform_output._transform_output_dir


@pytest.fixture
def artifacts(identity_export, raw_examples, graph_uri, tmp_path):
    """What the component is given, and what it leaves."""
    split = tmp_path / "examples" / "Split-test"
    split.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(split / "data.gz"), "GZIP") as writer:
        for raw in raw_examples:
            writer.write(raw.serialized())
    shutil.copytree(identity_export, tmp_path / "model" / "Format-Serving")
    inputs = {"model": standard_artifacts.Model(), "examples": standard_artifacts.Examples()}
    inputs["transform_graph"] = standard_artifacts.TransformGraph()
    inputs["model"].uri, inputs["examples"].uri = str(tmp_path / "model"), str(tmp_path / "examples")
    inputs["examples"].split_names = json.dumps(["test"])
    inputs["transform_graph"].uri = graph_uri
    blessing = standard_artifacts.InfraBlessing()
    blessing.uri = str(tmp_path / "blessing")
    return SimpleNamespace(inputs={key: [one] for key, one in inputs.items()}, blessing=blessing)


def execute(artifacts, **settings):
    settings = ProbeSettings(split="test", **{"examples": 4, **settings})
    Executor().Do(artifacts.inputs, {"blessing": [artifacts.blessing]}, {"settings": settings.model_dump_json()})
    found = Findings.load(artifacts.blessing.uri)
    names = sorted(path.name for path in Path(artifacts.blessing.uri).iterdir())
    blessed = artifacts.blessing.get_int_custom_property("blessed")
    assert names == [["INFRA_NOT_BLESSED", "probe.json"], ["INFRA_BLESSED", "probe.json"]][blessed]
    assert found.passed == bool(blessed)
    return found


def test_a_good_model_is_blessed_and_its_cost_is_known(artifacts):
    found = execute(artifacts)
    assert (found.refusals, found.examples) == ((), 4)
    assert found.measurements.max_difference == 0
    costs = found.measurements.model_dump(exclude={"max_difference"})
    assert all(cost > 0 for cost in costs.values()), costs


def test_a_model_over_its_budgets_is_refused_with_all_of_them(artifacts):
    tight = {f"max_{name}": 1e-9 for name in ("load_seconds", "latency_p50_ms", "latency_p99_ms", "memory_mb")}
    found = execute(artifacts, **tight)
    assert [refusal.rpartition("; ")[2] for refusal in found.refusals] == [
        f"probe.{setting} is 1e-09" for setting in tight
    ]


def test_a_budget_that_is_none_or_not_reached_is_kept():
    measured = Measurements(load_seconds=5.0, latency_p50_ms=10.0)
    settings = ProbeSettings(split="test", examples=1, max_load_seconds=4.0, max_latency_p99_ms=1.0)
    assert [*settings.overruns(measured)] == ["loading took 5.0 s; probe.max_load_seconds is 4"]


@pytest.mark.parametrize(
    ("file", "content"), [("saved_model.pb", b"no model"), ("variables/variables.index", None), ("variables", None)]
)
def test_a_broken_model_is_refused(artifacts, tmp_path, file, content):
    path = tmp_path / "model" / "Format-Serving" / file
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink() if content is None else path.write_bytes(content)
    [refusal] = execute(artifacts).refusals
    assert refusal.startswith("it cannot be loaded as TensorFlow Serving loads it: ")


def test_a_model_that_does_not_name_its_classes_is_refused(artifacts, tmp_path):
    (tmp_path / "model" / "Format-Serving" / "assets.extra" / "petseg_model.json").write_bytes(b"{}")
    [refusal] = execute(artifacts).refusals
    assert refusal.startswith(
        "its petseg_model.json, which names its classes, cannot be read: ValueError: class_names: Field"
    )


def test_a_model_without_warmup_requests_can_be_served(artifacts, tmp_path):
    (tmp_path / "model" / "Format-Serving" / "assets.extra" / "tf_serving_warmup_requests").unlink()
    assert execute(artifacts).refusals == ()


def test_what_keras_saves_by_itself_is_refused(artifacts, tmp_path):
    served = tmp_path / "model" / "Format-Serving"
    assets = shutil.copytree(served / "assets.extra", tmp_path / "assets")
    shutil.rmtree(served)
    image = keras.Input((16, 16, 3))
    tf.saved_model.save(keras.Model(image, keras.layers.Conv2D(3, 1)(image)), str(served))
    shutil.copytree(assets, served / "assets.extra")
    assert "there is no signature 'tensor'" in execute(artifacts).refusals


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL (was its memory used up?)"),
        ("import os; os.abort()", "was killed by SIGABRT"),
        ("raise SystemExit(7)", "ended with exit code 7; its output is in the log"),
        ("import time; time.sleep(600)", "did not end within 3 s"),
        ("", "left no findings"),
    ],
)
def test_the_death_of_the_process_is_a_refusal(code, refusal, tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\n{code}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    work = WorkDirectory(tmp_path)
    work.write_examples([b"image"], ["a.jpg"], np.zeros((1, 1)))
    found = run_probe("model", work, 3)
    assert found.refusals == (f"the process that loaded it {refusal}",)
    assert found.examples == 1


def test_images_are_prepared_as_for_the_training(raw_examples, transformed, graph_uri):
    prepared = prepare([raw.encoded_image for raw in raw_examples], graph_uri)
    images = np.stack([resize_image(decode_image(raw.encoded_image), 16) for raw in raw_examples])
    expected = normalize(images, transformed.features["image_offset_xf"], transformed.features["image_scale_xf"])
    np.testing.assert_allclose(prepared, expected, atol=1e-6)


def test_another_way_to_prepare_images_is_noticed(model, raw_examples, graph_uri):
    images = [raw.encoded_image for raw in raw_examples]
    prepared = prepare(images, graph_uri)
    assert compare_paths(model, images, prepared) == (0.0, [])
    [line] = compare_paths(model, images, prepared[..., ::-1])[1]
    assert line.startswith("serving prepares images in another way than training: probabilities differ by up to 0.")
    assert compare_paths(model, images, np.full_like(prepared, np.nan))[1]


def test_the_checks_are_silent_about_a_good_model(model, identity_export):
    assert [*check_signatures(model, CARD)] == []
    assert [*check_warmup(model, f"{identity_export}/assets.extra/tf_serving_warmup_requests")] == []
    assert [*check_odd_images(model, CARD)] == []
    assert [*check_unreadable_images(model)] == []


def test_signatures_of_other_shapes_are_named(model):
    lines = [*check_signatures(model, ModelCard(class_names=("pet", "background"), mask_values=(1, 2), image_size=16))]
    assert len(lines) == 2
    assert lines[0].startswith("the output of 'serving_default' is mask uint8 [-1, 16, 16], mask_png_bytes string [-1]")
    assert "expected mask uint8 [-1, 16, 16]" in lines[1]
    assert "probabilities float32 [-1, 16, 16, 2]" in lines[1]


class _Altered:
    """A model whose answers are not what they were."""

    def __init__(self, model, **changes) -> None:
        self._model, self._changes, self.signatures = model, changes, {}

    def call(self, signature, values):
        answers = self._model.call(signature, values)
        return answers | {name: change(answers[name]) for name, change in self._changes.items()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"probabilities": lambda array: array * 1.01}, "do not sum to 1"),
        ({"probabilities": lambda array: array * np.nan}, "do not sum to 1"),
        ({"mask": lambda array: array + 3}, "class ids that are none"),
        ({"mask": lambda array: array[1:]}, "the mask has"),
        ({"mask_png_bytes": lambda array: [SMALL_PNG] * len(array)}, "L (9, 9)"),
    ],
)  # fmt: skip
def test_answers_that_cannot_be_are_named(model, changes, words):
    lines = [*check_odd_images(_Altered(model, **changes), CARD)]
    assert lines
    assert all(words in line for line in lines)


GIF = unreadable_images()["a GIF"]


def test_a_real_image_that_is_refused_is_named(model, raw_examples):
    images = [raw_examples[0].encoded_image, GIF]
    assert [*check_real_images(model, images, ["a.jpg", "b.jpg"])] == [
        f"the image 'b.jpg' ({len(GIF)} bytes) of the evaluated split is not answered: is no readable JPEG or PNG"
    ]


def test_the_probe_ends_with_a_finding_when_a_real_image_is_refused(identity_export, raw_examples, tmp_path):
    images = [raw_examples[0].encoded_image, GIF]
    work = WorkDirectory(tmp_path)
    work.write_examples(images, ["a.jpg", "b.jpg"], np.zeros((2, 16, 16, 3), np.float32))
    [refusal] = run_probe(identity_export, work, 600).refusals
    assert refusal.startswith("the image 'b.jpg' (")


def test_what_the_probe_does_not_foresee_is_a_finding_too(identity_export, raw_examples, tmp_path):
    work = WorkDirectory(tmp_path)
    work.write_examples([raw_examples[0].encoded_image], ["a.jpg"], np.zeros((1, 16, 16, 3), np.float32))
    (tmp_path / "prepared.npy").unlink()
    [refusal] = run_probe(identity_export, work, 600).refusals
    assert refusal.startswith("asking it failed: FileNotFoundError: ")


class _Answering:
    def __init__(self, outcomes) -> None:
        self._outcomes = iter(outcomes)

    def call(self, signature, values):
        outcome = next(self._outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_refusals_that_do_not_help_and_poisoned_processes_are_named():
    right = tf.errors.InvalidArgumentError(None, None, "image 1 of the batch is no readable JPEG or PNG")
    vague = tf.errors.InvalidArgumentError(None, None, "Unknown image file format")
    other = tf.errors.InternalError(None, None, "broken")
    lines = [*check_unreadable_images(_Answering([right, vague, other, {}, right, right, other]))]
    assert [line.partition(":")[0] for line in lines] == [
        "a text is refused without saying which image it is",
        "half a JPEG fails as InternalError, not as an invalid argument",
        "half a PNG is answered like an image",
        "after a request that is refused, the next one fails",
    ]
