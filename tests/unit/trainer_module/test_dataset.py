"""Order and augmentation of the batches: what they depend on, and what not."""

import itertools

import numpy as np
import pytest

from trainer_module import dataset
from trainer_module.config import AugmentationConfig
from trainer_module.dataset import count_class_pixels, eval_dataset, train_dataset

AUGMENTATION = AugmentationConfig(horizontal_flip=True, scale=(0.8, 1.25), rotation=15, brightness=0.2)
NONE = AugmentationConfig()


@pytest.fixture
def batches(transformed):
    def read(count, augmentation=AUGMENTATION, seed=0, skip_batches=0):
        size = transformed.data.image_size
        found = train_dataset(
            transformed.files,
            transformed.transform_output,
            size,
            2,
            seed,
            num_examples=6,
            augmentation=augmentation,
            skip_batches=skip_batches,
        )
        return [tuple(map(np.asarray, batch)) for batch in itertools.islice(found, count)]

    return read


def same(batches, others):
    return all(
        np.array_equal(one, other)
        for batch, other_batch in zip(batches, others, strict=True)
        for one, other in zip(batch, other_batch, strict=True)
    )


def test_batches_are_those_of_the_seed(batches):
    assert same(batches(7), batches(7))
    assert not same(batches(7), batches(7, seed=1))


def test_batches_do_not_depend_on_the_number_of_threads(batches, monkeypatch):
    expected = batches(7)
    monkeypatch.setattr(dataset, "_PARALLELISM", 1)
    assert same(batches(7), expected)


def test_batches_go_on_where_they_were_left(batches):
    assert same(batches(4, skip_batches=4), batches(8)[4:])


def test_an_image_is_changed_in_another_way_in_each_epoch(batches):
    def images(epoch):
        return [image for batch, _ in epoch for image in batch]

    first, second = (images(part) for part in (batches(6)[:3], batches(6)[3:]))
    assert not any(np.array_equal(one, other) for one in first for other in second)


@pytest.mark.parametrize("buffer", [4096, 3], ids=["kept in memory", "read again in each epoch"])
def test_without_augmentation_every_epoch_has_the_examples_as_they_are(batches, transformed, monkeypatch, buffer):
    monkeypatch.setattr(dataset, "_SHUFFLE_BUFFER_EXAMPLES", buffer)
    size = transformed.data.image_size
    plain = eval_dataset(transformed.files, transformed.transform_output, size, 6)
    [(images, class_ids)] = [tuple(map(np.asarray, batch)) for batch in plain]
    expected = sorted((image.tobytes(), mask.tobytes()) for image, mask in zip(images, class_ids, strict=True))
    for epoch in (batches(6, NONE)[:3], batches(6, NONE)[3:]):
        pairs = [pair for batch in epoch for pair in zip(*batch, strict=True)]
        assert sorted((image.tobytes(), mask.tobytes()) for image, mask in pairs) == expected


def test_keeping_records_in_memory_changes_no_order(batches, monkeypatch):
    kept = batches(9)
    monkeypatch.setattr(dataset.tf.data.Dataset, "cache", lambda records: records)
    assert same(batches(9), kept)


def test_masks_are_reflected_or_not_as_it_is_told(transformed):
    def ids(**options):
        size = transformed.data.image_size
        found = train_dataset(
            transformed.files, transformed.transform_output, size, 6, 0, num_examples=6,
            augmentation=AugmentationConfig(translation=0.5), **options,
        )  # fmt: skip
        return np.asarray(next(iter(found))[1])

    assert 255 not in ids()
    assert 255 in ids(reflects_masks=False)


def test_pixels_of_each_class(transformed):
    size = transformed.data.image_size
    plain = eval_dataset(transformed.files, transformed.transform_output, size, 6)
    [(_, class_ids)] = list(plain)
    expected = [int((np.asarray(class_ids) == class_id).sum()) for class_id in range(4)]
    found = count_class_pixels(transformed.files, transformed.transform_output, size, 4)
    assert found.tolist() == expected
    assert count_class_pixels(transformed.files, transformed.transform_output, size, 2).tolist() == expected[:2]
