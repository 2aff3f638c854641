"""Small encoded images and masks, and the transform graph over them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

IMAGE_SIZE = 16
MASK_VALUES = (1, 2, 3)


@dataclasses.dataclass(frozen=True)
class RawExample:
    """One image with its mask, decoded and encoded."""

    image: np.ndarray
    mask: np.ndarray
    encoded_image: bytes
    encoded_mask: bytes

    def serialized(self, example_id: bytes = b"x.jpg") -> bytes:
        import tensorflow as tf

        values = {
            "image": self.encoded_image,
            "segmentation_mask": self.encoded_mask,
            "example_id": example_id,
            "file_name": b"x.jpg",
        }
        feature = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()
        }
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def make_raw_example(seed: int, height: int, width: int, channels: int = 3, encoding: str = "jpeg") -> RawExample:
    """Draws random pixels; masks have blocks of each value, so that resizing has outlines to get wrong."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    blocks = rng.choice(MASK_VALUES, (-(-height // 5), -(-width // 5), 1)).astype(np.uint8)
    mask = blocks.repeat(5, axis=0).repeat(5, axis=1)[:height, :width]
    encode = tf.io.encode_jpeg if encoding == "jpeg" else tf.io.encode_png
    return RawExample(image, mask, encode(image).numpy(), tf.io.encode_png(mask).numpy())


@pytest.fixture(scope="session")
def raw_examples() -> list[RawExample]:
    """JPEG and PNG, gray, RGB and RGBA, landscape and portrait, smaller and larger than the network's input."""
    return [
        make_raw_example(0, 20, 31),
        make_raw_example(1, 40, 17),
        make_raw_example(2, 16, 16),
        make_raw_example(3, 33, 33, channels=1),
        make_raw_example(4, 25, 30, channels=4, encoding="png"),
        make_raw_example(5, 12, 9, encoding="png"),
    ]


@dataclasses.dataclass(frozen=True)
class Transformed:
    """What Transform makes of the raw examples."""

    data: Any
    transform_output: Any
    features: dict[str, np.ndarray]
    files: list[str]


@pytest.fixture(scope="session")
def transformed(raw_examples: list[RawExample], tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    """Runs `preprocessing_fn` under TFT, as Transform does, with standardization, and writes its records."""
    import functools

    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    from trainer_module.config import DataConfig
    from trainer_module.preprocessing import preprocessing_fn

    data = DataConfig(image_size=IMAGE_SIZE, normalization="standardize", mask_values=MASK_VALUES)
    directory: Path = tmp_path_factory.mktemp("transformed")
    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in ("image", "segmentation_mask")}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    rows = [
        {"image": np.array([raw.encoded_image], object), "segmentation_mask": np.array([raw.encoded_mask], object)}
        for raw in raw_examples
    ]
    with tft_beam.Context(temp_dir=str(directory / "tmp")):
        (examples, _), transform_fn = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
            functools.partial(preprocessing_fn, custom_config={"data": data.model_dump(mode="json")})
        )
        transform_fn | tft_beam.WriteTransformFn(str(directory / "graph"))
    transform_output = tft.TFTransformOutput(str(directory / "graph"))
    coder = tft.coders.ExampleProtoCoder(transform_output.transformed_metadata.schema)
    records = str(directory / "records.gz")
    with tf.io.TFRecordWriter(records, "GZIP") as writer:
        for example in examples:
            writer.write(coder.encode(example))
    features = {name: _stacked([example[name] for example in examples]) for name in examples[0]}
    return Transformed(data, transform_output, features, [records])


@pytest.fixture(scope="session")
def identity_export(transformed: Transformed, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An exported network that answers its input: three channels are three logits, so outputs show preprocessing."""
    import keras

    from trainer_module.signatures import export_model

    size = transformed.data.image_size
    image = keras.Input((size, size, 3))
    logits = keras.layers.Dense(3, kernel_initializer="identity")(image)
    directory = str(tmp_path_factory.mktemp("export") / "1")
    model = keras.Model(image, logits, name="identity")
    export_model(model, transformed.transform_output, transformed.data, directory)
    return directory


def _stacked(values: list[Any]) -> np.ndarray:
    """Stacks numbers; byte strings stay objects, for NumPy's own would lose trailing zeros."""
    return np.array(values, object) if isinstance(values[0], bytes) else np.array(values)


@pytest.fixture
def without_proxy(monkeypatch) -> None:
    """An environment that names no proxy, whatever this machine's does."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and server.test that nobody but itself has signed, and its key."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("server.test")]
    )
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("certificate")
    files = directory / "certificate.pem", directory / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
