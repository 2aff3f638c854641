"""The images that a served model is asked about."""

import pytest
import tensorflow_datasets as tfds
from serving_pods import drawn_images

import components.datasets.synthetic_pets  # noqa: F401  registers the builder
from pipeline.config.loading import load_config
from pipeline.models.images import images_of_folder, images_of_split
from trainer_module.errors import ConfigError, DataError

SPLITS = ("train", "eval", "test")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tfds")
    tfds.builder("synthetic_pets/tiny", data_dir=directory).download_and_prepare()
    return directory


def config_for(data_dir, *overrides):
    data = ["data.dataset=synthetic_pets/tiny", f"data.data_dir={data_dir}"]
    return load_config(preset="demo", overrides=[*data, *overrides])


def test_those_of_a_split_are_encoded_and_the_first(data_dir):
    images = images_of_split(config_for(data_dir), 10)
    assert len(images) == 10
    assert all(image.startswith(b"\xff\xd8\xff") for image in images)
    assert images_of_split(config_for(data_dir), 100)[:10] == images


def test_too_few_and_none_at_all_are_told(data_dir, tmp_path):
    with pytest.raises(ConfigError, match="has 7 examples, and a canary is compared on 8 at least; name a folder"):
        images_of_split(config_for(data_dir, "data.splits.test=test[:7]"), 64)
    with pytest.raises(DataError, match="is not prepared"):
        images_of_split(config_for(tmp_path), 64)


def test_those_of_a_folder_are_the_files_that_models_read(tmp_path):
    (tmp_path / "more").mkdir()
    images = drawn_images(9)
    for number, image in enumerate(images):
        (tmp_path / ("more" if number == 8 else "") / f"{number}.{['png', 'JPG'][number % 2]}").write_bytes(image)
    (tmp_path / "notes.txt").write_text("none")
    assert images_of_folder(tmp_path, 64) == images
    assert images_of_folder(tmp_path, 8) == images[:8]
    with pytest.raises(ConfigError, match="has 1 JPEG or PNG files, and a canary is compared on 8 at least"):
        images_of_folder(tmp_path / "more", 64)


def test_those_of_a_split_that_a_hash_makes_are_its_own(data_dir):
    parted = "data.hash_split={of='train+test', shares={train=34, eval=36, test=30}}"
    found = [images_of_split(config_for(data_dir, parted, f"evaluation.split={split}"), 100) for split in SPLITS]
    every = [image for images in found for image in images]
    assert len({*every}) == len(every) == 36
