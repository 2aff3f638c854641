"""The data contract: names and types of the features that flow from ExampleGen to serving.

TfdsExampleGen writes one `tf.train.Example` an image with the raw features below, whatever the source data set calls
its own; Transform turns them into the `_xf` features that Trainer reads.
"""

from typing import Final

# Raw features, one value each.
IMAGE: Final = "image"  # bytes: JPEG or PNG that `trainer_module.encoded_images` allows, turned by its EXIF orientation
SEGMENTATION_MASK: Final = (
    "segmentation_mask"  # bytes: PNG of 8-bit gray, raw mask values, the size of the turned image
)
EXAMPLE_ID: Final = "example_id"  # bytes: tells the example from all others of its data set; TFDS' shard and position
FILE_NAME: Final = "file_name"  # bytes: names the example in messages and reports; others may have the same name

NOT_LABELLED: Final = 255
"""Class id of pixels of which nothing is known: no loss, no gradient, no count in any metric; classes end at 254."""

DATE: Final = "date"
"""int64: the day that an example is of, in days since 1970-01-01, in data sets that grow; TfdsExampleGen goes by it."""

REFERENCE_SPLIT: Final = "reference"
"""Name of the split that has the frozen reference set (`evaluation.reference`), which is of a data set of its own."""

# Transformed features. Pixels stay uint8 in the files; `normalize` makes them float32 after reading.
IMAGE_XF: Final = "image_xf"  # bytes: image_size × image_size × 3 uint8, row-major RGB
SEGMENTATION_MASK_XF: Final = "segmentation_mask_xf"  # bytes: image_size² uint8: class ids and `NOT_LABELLED`
IMAGE_OFFSET_XF: Final = "image_offset_xf"  # float32 [3]: subtracted from each channel, in 0…255
IMAGE_SCALE_XF: Final = "image_scale_xf"  # float32 [3]: then multiplied with it

# Signatures of the exported model.
SERVING_SIGNATURE: Final = "serving_default"  # encoded images
TENSOR_SIGNATURE: Final = "tensor"  # images that are prepared already
EVALUATION_SIGNATURE: Final = "evaluation"

# Outputs of the signatures that serve; the last, of encoded images only.
PROBABILITIES: Final = "probabilities"  # float32 [batch, image_size, image_size, num_classes], sums to 1 over classes
MASK: Final = "mask"  # uint8 [batch, image_size, image_size]: the most probable class id
MASK_PNG: Final = "mask_png_bytes"  # bytes [batch]: PNG of one channel of class ids at the size of the encoded image

# Outputs of the evaluation signature; all count labelled pixels only.
CONFUSION_MATRIX: Final = "confusion_matrix"  # int64 [batch, num_classes²]: pixels of class row predicted as column
LOSS: Final = "loss"  # float32 [batch]: mean cross-entropy over labelled pixels of the example, in nats; 0 without any
EXAMPLE_FINGERPRINT: Final = "example_fingerprint"  # int64 [batch]: of `EXAMPLE_ID`, the same in every process
BOUNDARY_INTERSECTION: Final = "boundary_intersection"  # int64 [batch, num_classes]: pixels of both boundary regions
BOUNDARY_UNION: Final = "boundary_union"  # int64 [batch, num_classes]: pixels of either boundary region
CALIBRATION_PIXELS: Final = "calibration_pixels"  # int64 [batch, bins]: pixels by the predicted class's probability
CALIBRATION_CONFIDENCE: Final = "calibration_confidence"  # float64 [batch, bins]: sums of that probability
CALIBRATION_CORRECT: Final = "calibration_correct"  # int64 [batch, bins]: pixels that are right
EVALUATION_OUTPUTS: Final = (
    CONFUSION_MATRIX,
    LOSS,
    EXAMPLE_FINGERPRINT,
    BOUNDARY_INTERSECTION,
    BOUNDARY_UNION,
    CALIBRATION_PIXELS,
    CALIBRATION_CONFIDENCE,
    CALIBRATION_CORRECT,
)

# Files of a model under `assets.extra`, which TensorFlow Serving leaves alone but for the requests.
ASSETS_DIRECTORY: Final = "assets.extra"
MODEL_CARD_ASSET: Final = "petseg_model.json"  # what it was trained for
WARMUP_ASSET: Final = (
    "tf_serving_warmup_requests"  # TFRecord of PredictionLog, which TensorFlow Serving plays at loading
)
PUSH_ASSET: Final = "petseg_push.json"  # written at the push: when, from which run, on what grounds
STATISTICS_ASSET: Final = "petseg_statistics.json"  # written at the push: of the data that it was trained on
EXPORT_ASSET: Final = "petseg_export.json"  # of an optimized model: what it was made of, and what it costs
CHECKSUMS_ASSET: Final = "petseg_checksums.json"  # written at the push: SHA-256 of every other file

# File beside a served model that the pipeline brought, or in its place where there is none: why (JSON).
BASELINE_FILE: Final = "baseline.json"
