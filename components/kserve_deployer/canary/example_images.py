"""The images of a split of examples, to ask a canary about."""

from components.kserve_deployer.canary.verdict import MIN_IMAGES
from trainer_module import features
from trainer_module.errors import DataError


def example_images(split_uri: str, count: int) -> list[bytes]:
    """Returns the first images of a split, encoded.

    Args:
      split_uri: Where its files are.
      count: How many at most.

    Raises:
      DataError: There are too few to compare masks by.
    """
    import tensorflow as tf

    files = sorted(tf.io.gfile.glob(f"{split_uri}/*"))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").take(count)
    images = [
        tf.train.Example.FromString(record.numpy()).features.feature[features.IMAGE].bytes_list.value[0]
        for record in records
    ]
    if len(images) < MIN_IMAGES:
        raise DataError(f"{split_uri!r} has {len(images)} examples, and a canary is compared on {MIN_IMAGES} at least")
    return images
