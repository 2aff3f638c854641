"""A whole run on masks that leave pixels undecided (255, as in Pascal VOC); one image is not labelled at all."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
import tensorflow_transform as tft
from tiny_training import tiny_network
from workplace import Workplace

from components.tfds_example_gen.source import TfdsSource
from pipeline import component_settings
from pipeline.models.evaluation import evaluate_model
from pipeline.models.loading import ServedModel
from pipeline.report.blocks import HATCHED
from pipeline.report.image_scores import SCORES_FILE, read_scores
from trainer_module import networks
from trainer_module.dataset import count_class_pixels

SIZE = 48
UNDECIDED_ROWS = 6
SETTINGS = (
    "data.dataset=undecided_tiles",
    "data.builder_modules=[]",
    'data.class_names=["soil", "crop"]',
    "data.mask_values=[0, 1]",
    "data.ignore_values=[255]",
    'data.slice_features=["site"]',
    "data.schema_file=segmentation",
    "data.splits.train=train[:9]",
    "data.splits.eval=train[9:]",
    'evaluation.slices=["site"]',
    "evaluation.min_accuracy=0.01",
    "trainer.class_weights=balanced",
    "trainer.loss=cross_entropy_dice",
    "trainer.augmentation.rotation=20",
)


class UndecidedTiles(tfds.core.GeneratorBasedBuilder):
    """Fields with crop in them, the upper rows of whose masks are undecided; the first of `test` is so throughout."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="png"),
            "segmentation_mask": tfds.features.Image(shape=(SIZE, SIZE, 1), encoding_format="png"),
            "file_name": tfds.features.Text(),
            "site": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples("train", 12), "test": self._generate_examples("test", 6)}

    def _generate_examples(self, split, count):
        for index in range(count):
            rng = np.random.default_rng([index, split == "test"])
            top, left = rng.integers(0, SIZE // 2, 2)
            mask = np.zeros((SIZE, SIZE, 1), np.uint8)
            mask[top : top + SIZE // 2, left : left + SIZE // 2] = 1
            image = np.where(mask, (60, 150, 60), (120, 84, 50)) + rng.integers(-25, 26, (SIZE, SIZE, 3))
            nowhere = split == "test" and index == 0
            mask[: SIZE if nowhere else UNDECIDED_ROWS] = 255
            yield (
                index,
                {
                    "image": image.astype(np.uint8),
                    "segmentation_mask": mask,
                    "file_name": f"{split}_{index}.png",
                    "site": "nowhere" if nowhere else "south",
                },
            )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.MODELS, "unet", tiny_network)
        yield Workplace(tmp_path_factory.mktemp("pipeline_root"), SETTINGS)


@pytest.fixture(scope="module")
def run(workplace):
    return workplace.run(report=True)


@pytest.fixture(scope="module")
def predicted(workplace, run):
    """Truth, prediction and probabilities of each test image by the pushed model; the tiles have the network's size."""
    model = tf.saved_model.load(run.pushed_model).signatures["serving_default"]
    builder = tfds.builder("undecided_tiles", data_dir=workplace.config().data_dir)
    found = []
    for example in builder.as_dataset(split="test", decoders={"image": tfds.decode.SkipDecoding()}):
        outputs = model(image=example["image"][tf.newaxis])
        mask = example["segmentation_mask"].numpy()[..., 0]
        found.append((mask, outputs["mask"].numpy()[0], outputs["probabilities"].numpy()[0]))
    return [np.stack(arrays) for arrays in zip(*found, strict=True)]


def test_the_numbers_are_those_of_numpy_on_labelled_pixels(run, predicted):
    truth, masks, probabilities = predicted
    known = truth != 255
    expected = {
        "accuracy": (truth == masks)[known].mean(),
        "iou_crop": ((truth == 1) & (masks == 1))[known].sum() / ((truth == 1) | (masks == 1))[known].sum(),
        "majority_share": (truth[known] == 0).mean(),
        "labelled_share": known.mean(),
        "unlabelled_images": 1,
    }
    losses = [
        -np.log(np.take_along_axis(probability[labelled], ids[labelled, np.newaxis].astype(int), -1)).mean()
        for ids, probability, labelled in zip(truth, probabilities, known, strict=True)
        if labelled.any()
    ]
    assert len(losses) == 5
    expected["loss"] = np.mean(losses)
    assert {name: run.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert np.sum(run.distributions["confusion_matrix"]) == known.sum()
    assert np.sum(run.distributions["calibration_pixels"]) == known.sum()
    assert np.sum(run.distributions["image_iou_histogram"]) == 5


def test_slices_and_gate_say_how_much_was_labelled(run):
    slices = {row["slice"]["site"]: row for row in run.slices}
    assert {site: row["examples"] for site, row in slices.items()} == {"nowhere": 1, "south": 5}
    assert slices["nowhere"]["metrics"] == {"labelled_share": 0, "unlabelled_images": 1}
    assert slices["south"]["metrics"]["labelled_share"] == 1 - UNDECIDED_ROWS / SIZE
    assert {row.labelled_share for row in run.thresholds} == {run.metrics["labelled_share"]}
    told = run.node("SegmentationValidator").summary
    assert told.endswith("not labelled: 12.5% of train, 12.5% of eval, 27.1% of test")


def test_training_counts_labelled_pixels_alone(run):
    graph_of = tft.TFTransformOutput(run.node("Transform").outputs["transform_graph"])
    files = f"{run.node('Transform').outputs['transformed_examples']}/Split-train/*"
    counts = count_class_pixels([files], graph_of, SIZE, 2)
    assert counts.sum() == 9 * SIZE * (SIZE - UNDECIDED_ROWS)
    assert run.dataset.class_pixels["train"] == counts.tolist()


def test_the_model_says_what_it_was_not_taught_and_is_evaluated_so(workplace, run):
    model = ServedModel.load(run.pushed_model)
    assert model.card.ignore_values == (255,)
    assert component_settings.model_contract(workplace.config()).ignore_values == (255,)
    fields = workplace.config().data.model_dump(include=set(TfdsSource.model_fields))
    source = TfdsSource(**fields | {"data_dir": workplace.config().data_dir})
    result = evaluate_model(model, source, "test", lambda *_: None)
    assert result["metrics"] == pytest.approx(run.metrics)
    assert [row["metrics"] for row in result["slices"]] == [pytest.approx(row["metrics"]) for row in run.slices]


def test_the_report_shows_it(run):
    page = Path(run.report)
    text = page.read_text(encoding="utf-8")
    assert text.count(f"background: {HATCHED}") == 4, "in three legends and the table of classes"
    assert "not labelled · nowhere" in text
    scores = read_scores(page.with_name(SCORES_FILE))
    assert [score.file_name for score in scores if score.mean_iou is None] == ["test_0.png"]
    assert len(scores) == 6
