"""What is measured of forms, against plain NumPy."""

import numpy as np
import pytest

from pipeline.export.measurement import measure
from pipeline.models.loading import Prepared

CLASSES = ("pet", "background", "border")


def one_hot(class_ids: np.ndarray) -> np.ndarray:
    return np.eye(len(CLASSES), dtype=np.float32)[class_ids]


@pytest.fixture
def batches():
    rng = np.random.default_rng(1)
    return [
        Prepared(rng.normal(size=(count, 8, 8, 3)).astype(np.float32), rng.integers(0, 3, (count, 8, 8), np.uint8))
        for count in (3, 2)
    ]


@pytest.fixture
def partly_labelled(batches):
    """The first image of each batch is not labelled at all, of the others a quarter is."""
    for batch in batches:
        batch.class_ids[0] = 255
        batch.class_ids[1:, 2:] = 255
    return batches


def test_the_numbers_are_those_of_plain_numpy(batches):
    networks = [lambda image: image, lambda image: one_hot(image.argmax(-1) ** 2 % 3)]
    found = measure(networks[0], {"form": networks[1]}, batches, CLASSES)
    images, truth = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("images", "class_ids"))
    predicted = [network(images).argmax(-1) for network in networks]
    for row, class_ids in zip((found.original, found.forms["form"]), predicted, strict=True):
        assert row.metrics["accuracy"] == pytest.approx((class_ids == truth).mean())
        ious = {
            name: ((class_ids == index) & (truth == index)).sum() / ((class_ids == index) | (truth == index)).sum()
            for index, name in enumerate(CLASSES)
        }
        assert {name: row.metrics[f"iou_{name}"] for name in CLASSES} == pytest.approx(ious)
        assert row.metrics["mean_iou"] == pytest.approx(np.mean([*ious.values()]))
    form = found.forms["form"]
    assert form.changed_pixels == pytest.approx((predicted[0] != predicted[1]).mean())
    for name, value in form.metrics.items():
        assert form.differences[name] == pytest.approx(value - found.original.metrics[name])
    assert (found.examples, found.original.differences, found.original.changed_pixels) == (5, {}, 0)


def test_labelled_pixels_alone_are_measured(partly_labelled):
    networks = [lambda image: image, lambda image: one_hot(image.argmax(-1) ** 2 % 3)]
    found = measure(networks[0], {"form": networks[1]}, partly_labelled, CLASSES)
    images, truth = (
        np.concatenate([getattr(one, name) for one in partly_labelled]) for name in ("images", "class_ids")
    )
    predicted = [network(images).argmax(-1) for network in networks]
    known = truth != 255
    for row, class_ids in zip((found.original, found.forms["form"]), predicted, strict=True):
        assert row.metrics["accuracy"] == pytest.approx((class_ids == truth)[known].mean())
    changed = (predicted[0] != predicted[1]).mean()
    assert found.forms["form"].changed_pixels == pytest.approx(changed), "of all pixels: the truth is not asked"


def test_networks_take_turns_at_being_first(batches):
    calls = []

    def network(name):
        return lambda image: (calls.append(name), image)[1]

    measure(network("a"), {"b": network("b"), "c": network("c")}, batches, CLASSES)
    assert calls[:9] == [*"aaabbbccc"], "warmed up"
    assert "".join(calls[9:]) == "abcbcacababcbca"


def test_times_are_medians_in_ratio_to_the_original(batches, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    monkeypatch.setattr("time.process_time", lambda: now["cpu"])
    now = {"cpu": 0.0}

    def network(seconds):
        def call(image):
            now["cpu"] += seconds
            return image

        return call

    found = measure(network(0.5), {"form": network(0.125)}, batches, CLASSES)
    assert (found.original.cpu_ms, found.forms["form"].cpu_ms) == (500, 125)
    assert (found.original.cpu_ratio, found.forms["form"].cpu_ratio) == (1, 0.25)
    assert (found.original.latency_p50_ms, found.forms["form"].latency_ratio) == (1000, 1)


def test_a_class_that_nowhere_occurs_has_no_iou(batches):
    truth = [Prepared(batch.images, np.zeros_like(batch.class_ids)) for batch in batches]
    found = measure(lambda image: one_hot(np.zeros(image.shape[:3], int)), {}, truth, CLASSES)
    assert found.original.metrics == {"accuracy": 1, "mean_iou": 1, "iou_pet": 1}
