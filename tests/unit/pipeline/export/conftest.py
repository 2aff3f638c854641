"""A small exported network with batch normalization, and data to measure it on."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def network(transformed):
    """Two convolutions with a normalization between them that is not the identity."""
    import keras
    import numpy as np

    size = transformed.data.image_size
    image = keras.Input((size, size, 3))
    hidden = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
    hidden = keras.layers.ReLU()(keras.layers.BatchNormalization()(hidden))
    model = keras.Model(image, keras.layers.Conv2D(3, 1)(hidden), name="small")
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()])
    model.layers[2].moving_variance.assign(rng.uniform(0.5, 2, 8))
    return model


@pytest.fixture(scope="session")
def exported(network, transformed, tmp_path_factory) -> str:
    """The network, exported."""
    from trainer_module.signatures import export_model

    directory = str(tmp_path_factory.mktemp("exported") / "7")
    export_model(network, transformed.transform_output, transformed.data, directory)
    Path(directory, "assets.extra", "petseg_statistics.json").write_text(
        "{}", encoding="utf-8"
    )  # as a push leaves them
    return directory


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> str:
    """Holds `synthetic_pets/tiny`: 24 pictures to train on and 12 to test on."""
    import tensorflow_datasets as tfds

    import components.datasets.synthetic_pets  # noqa: F401 (registers the builder)

    directory = str(tmp_path_factory.mktemp("data"))
    tfds.builder("synthetic_pets/tiny", data_dir=directory).download_and_prepare(file_format="tfrecord")
    return directory
