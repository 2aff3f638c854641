"""Settings of the data contract, preprocessing and training. `pipeline.config.schema` composes them with the rest."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from trainer_module import features
from trainer_module.drift_config import DriftConfig
from trainer_module.encoder_catalogue import (
    ENCODER_SIZES,
    IMAGENET,
    MODEL_ENCODERS,
    UNET_ENCODER,
    EncoderName,
    Normalization,
)
from trainer_module.hash_split_config import HashSplitConfig, SplitName
from trainer_module.section import Section
from trainer_module.validation_config import ValidationConfig

IMAGE_SIZES: Final = {
    "unet": (32, 16),
    "unet_lite0": ENCODER_SIZES,
    "unet_encoder": ENCODER_SIZES,
    "blog": (48, 8),
    "blog_bn": (48, 8),
    "paper": (32, 16),
}
"""Model to the least image size it can take and the number that an image size must be a multiple of."""

ENCODER_SETTINGS: Final = (
    "encoder",
    "encoder_weights",
    "encoder_learning_rate",
    "freeze_epochs",
    "encoder_statistics",
)
"""The settings of `[trainer]` that are of use to networks on an encoder only."""

SERVED: Final = "served"
"""Stands for the newest pushed model in `trainer.warm_start`."""

KEEP: Final = "keep"
"""Stands for the statistics that came with the encoder's weights in `trainer.encoder_statistics`."""

_CONTRACT_FEATURES: Final = frozenset({features.IMAGE, features.SEGMENTATION_MASK, features.EXAMPLE_ID})


def tidy_location(location: Any) -> Any:
    """Returns a path or URI without slashes at its end or in a row; what is no text, as it is.

    Paths are made of it by adding names, and to an object store `models//1` is another object than `models/1`. The
    query of a URI stays.

    Example:
      >>> tidy_location("s3://bucket//models/")
      's3://bucket/models'
    """
    if not isinstance(location, str):
        return location
    scheme, separator, rest = location.partition("://")
    if not separator:
        return re.sub("/+", "/", location).rstrip("/") or location[:1]
    path, mark, query = rest.partition("?")
    return scheme + separator + re.sub("/+", "/", path).rstrip("/") + mark + query


Location = Annotated[str, BeforeValidator(tidy_location)]
"""Directory, or URI of an object store, that others are in."""

OptionalLocation = Annotated[str | None, BeforeValidator(tidy_location)]


class DataConfig(Section):
    """What to read, and what its masks mean."""

    dataset: str = Field("synthetic_pets", pattern=r"^[\w/]+(:[\d.*]+)?$")
    """TFDS name with optional configuration and version: `oxford_iiit_pet:4.*.*`, `my_data/large:1.0.0`."""

    data_dir: OptionalLocation = None
    """TFDS data directory, local or `gs://`. None: `data` under the pipeline root."""

    download: bool = True
    """Download and prepare the data set when `data_dir` does not hold it."""

    builder_modules: tuple[str, ...] = ("components.datasets.synthetic_pets",)
    """Python modules to import that register further TFDS builders."""

    splits: dict[SplitName, str] = Field({"train": "train[:90%]", "eval": "train[90%:]", "test": "test"})
    """Split name to TFDS slice. `train` is trained on, `eval` selects the best weights, `test` is for the gate."""

    hash_split: HashSplitConfig | None = None
    """Splits that a hash makes, instead of `splits`: a growing data set then moves no image from one to another."""

    window: str | None = Field(None, pattern=r"^[1-9][0-9]{0,4}[dw]$")
    """How many days (`90d`) or weeks (`12w`) to read, counted back from the newest example of all splits. None: all.
    The data set needs a feature `date`, as those of `petseg data import` have it."""

    window_splits: tuple[SplitName, ...] = ("train", "eval")
    """The splits that the window is for; the others are read as a whole."""

    duplicates: Literal["error", "warn", "drop"] = "error"
    """What to do about images that two of the splits `train`, `eval` and `evaluation.split` share, byte by byte or
    because their slices overlap. `drop` leaves images that are shared byte by byte out of `train`, then of `eval`, and
    refuses slices that overlap, as `error` does. That `train` and `evaluation.split` overlap is always an error."""

    validation: ValidationConfig = ValidationConfig()

    drift: DriftConfig = DriftConfig()
    """The comparison with what the served model was trained on."""

    image_feature: str = "image"
    mask_feature: str = "segmentation_mask"

    slice_features: tuple[str, ...] = ("species", "label")
    """Further scalar features (class labels, strings, integers) to carry along, to slice the evaluation by."""

    schema_file: str = "oxford_iiit_pet"
    """TFDV schema of the raw features: a file (`.pbtxt`), or a curated one by name: `oxford_iiit_pet`, or
    `segmentation`, which fits every data set. Slice features that it says nothing of are added to it."""

    class_names: tuple[str, ...] = Field(("pet", "background", "border"), min_length=2, max_length=255)
    """Names of the classes; the position is the class id."""

    mask_values: tuple[Annotated[int, Field(ge=0, le=255)], ...] = (1, 2, 3)
    """The value that stands for each class in the raw masks, in the order of `class_names`."""

    ignore_values: tuple[Annotated[int, Field(ge=0, le=255)], ...] = ()
    """Mask values that mean "not labelled": those pixels count in no loss, metric, interval or bound."""

    image_size: int = Field(128, ge=16, le=2048)
    """Side of the square that images and masks are resized to, in pixels."""

    normalization: Normalization = "unit"
    """`unit`: to [0, 1]. `standardize`: to mean 0 and deviation 1 of each channel over the training split. The others
    are constants that encoders were trained with (`trainer_module.encoder_catalogue.NORMALIZATIONS`). A network on an
    encoder has its encoder's for default, and with weights that were trained before no other."""

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len(self.mask_values) != len(self.class_names):
            raise ValueError(
                f"mask_values has {len(self.mask_values)} entries and class_names {len(self.class_names)}; "
                "each class needs exactly one mask value"
            )
        for name in {*self.slice_features} & _CONTRACT_FEATURES:
            raise ValueError(
                f"slice_features has {name!r}, which is what petseg calls a feature of its own in every example; give "
                "the feature of your data set another name"
            )
        for name in ("mask_values", "class_names"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} repeats an entry: {list(values)}")
        if len(set(self.ignore_values)) != len(self.ignore_values):
            raise ValueError(f"ignore_values repeats an entry: {list(self.ignore_values)}")
        if both := sorted({*self.ignore_values} & {*self.mask_values}):
            raise ValueError(f"{both} are among mask_values and ignore_values: a value is a class or not labelled")
        background = self.validation.background
        if background is not None and background not in self.class_names:
            raise ValueError(f"validation.background is {background!r}, not among class_names {list(self.class_names)}")
        self._settle_splits()
        self._check_window()
        return self

    def _settle_splits(self) -> None:
        """Has `splits` say of splits that a hash makes what slice they are of; checks their names."""
        if self.hash_split is not None:
            if "splits" in self.model_fields_set and self.splits != self.hash_split.splits:
                raise ValueError(
                    f"splits is {self.splits}, and hash_split parts {self.hash_split.of!r} by a hash: there is one way "
                    "or the other; leave splits out, or set hash_split to none"
                )
            object.__setattr__(self, "splits", self.hash_split.splits)
        setting = "splits" if self.hash_split is None else "hash_split.shares"
        for split in ("train", "eval"):
            if split not in self.splits:
                raise ValueError(f"{setting} has no {split!r}; it has {sorted(self.splits)}")
        if features.REFERENCE_SPLIT in self.splits:
            raise ValueError(
                f"{setting} has {features.REFERENCE_SPLIT!r}, which is the name of the split of "
                "evaluation.reference; give yours another name"
            )

    def _check_window(self) -> None:
        if self.window is None:
            return
        if unknown := sorted({*self.window_splits} - {*self.splits}):
            raise ValueError(f"window_splits has {unknown[0]!r}, and splits has {sorted(self.splits)}")
        if self.hash_split is not None:
            return
        windowed = {self.splits[split] for split in self.window_splits}
        for split, slice_string in self.splits.items():
            if split not in self.window_splits and slice_string in windowed:
                raise ValueError(
                    f"splits.{split} is {slice_string!r}, as a split of window_splits is: for one it would be read in "
                    "the window, and for the other as a whole"
                )


Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class AugmentationConfig(Section):
    """Random changes of the training images, masks along with them. The defaults change nothing."""

    horizontal_flip: bool = False
    """Mirror every second image."""

    scale: tuple[Positive, Positive] = (1.0, 1.0)
    """Least and greatest zoom, drawn evenly on a logarithmic scale: above 1 crops, below 1 shrinks the image, whose
    surroundings are then its own reflection; with `data.ignore_values`, the mask's are not labelled."""

    translation: Fraction = 0.0
    """Greatest shift to any side, as a share of the image's side."""

    rotation: float = Field(0.0, ge=0, le=180)
    """Greatest angle to either side, in degrees."""

    brightness: Fraction = 0.0
    """Greatest change of brightness, as a share of the range of pixels."""

    contrast: Fraction = 0.0
    """Greatest change of contrast around the image's mean, as a share."""

    saturation: Fraction = 0.0
    """Greatest change of saturation, as a share."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        least, greatest = self.scale
        if least > greatest:
            raise ValueError(f"scale goes from {least} to {greatest}; put the least first")
        return self


class TrainerConfig(Section):
    """The network and how it is trained."""

    model: Literal["unet", "unet_lite0", "unet_encoder", "blog", "blog_bn", "paper"] = "unet"
    """Variant of the U-Net: ours, ours on EfficientNet-Lite0 or on the encoder that `encoder` names, the blog's as
    published or with batch normalization, or that of the 2015 paper."""

    encoder: EncoderName | None = None
    """With `unet_encoder`: its encoder, EfficientNet-Lite0 or one of `keras.applications`."""

    encoder_weights: OptionalLocation = IMAGENET
    """Where the encoder's weights come from: `imagenet`, a file, or None for random ones. A warm start from an earlier
    model has its weights in their place."""

    encoder_learning_rate: float | None = Field(None, gt=0)
    """The greatest learning rate of the encoder, whose schedule has the shape of the decoder's. None:
    `learning_rate`."""

    freeze_epochs: int = Field(0, ge=0)
    """First epochs in which an encoder that brings weights stays as it is, while the decoder learns."""

    encoder_statistics: Literal["keep", "adapt"] = KEEP
    """What the encoder's batch normalization works with: `keep`, the statistics that came with its weights; `adapt`,
    those of the new images, as the decoder's does. With random weights there is nothing to keep, and they adapt."""

    warm_start: OptionalLocation = None
    """Weights to start from: `served`, the newest pushed model, or a directory that holds a model of petseg."""

    epochs: int = Field(10, ge=1)
    steps_per_epoch: int | None = Field(None, ge=1)
    """Batches in an epoch. None: one pass over the training split."""

    batch_size: int = Field(64, ge=1)
    """Examples in a batch, on all GPUs and workers together; each takes an equal share."""

    augmentation: AugmentationConfig = AugmentationConfig()

    loss: Literal["cross_entropy", "dice", "cross_entropy_dice"] = "cross_entropy"
    """Cross-entropy, Dice loss (Milletari et al. 2016, https://arxiv.org/abs/1606.04797), or their sum."""

    class_weights: Literal["balanced"] | tuple[Positive, ...] | None = None
    """Weight of the pixels of each class in the cross-entropy, in the order of `data.class_names`. `balanced`: inverse
    to the share of each class in the training split. None: all alike."""

    label_smoothing: Fraction = 0.0
    """Share of each pixel's label that is spread over all classes (Szegedy et al. 2016)."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), or SGD with Nesterov momentum of 0.9."""

    learning_rate: Positive = 1e-3
    """The greatest of the schedule. It is not scaled with the number of GPUs, because the batch is not."""

    learning_rate_schedule: Literal["constant", "cosine"] = "constant"
    """`cosine` falls to 0 at the last step (Loshchilov and Hutter 2017)."""

    warmup_epochs: float = Field(0.0, ge=0)
    """Epochs, or part of one, in which the learning rate rises from 0."""

    weight_decay: float = Field(0.0, ge=0)
    """Decoupled (AdamW's), for every optimizer; kernels only, not biases and normalization."""

    gradient_clip_norm: Positive | None = None
    """Gradients are scaled down to this norm over all weights together. None: they are not."""

    weight_averaging: Fraction | None = None
    """Momentum of the exponential moving average of the weights over steps, which is then what is validated and
    exported. None: the weights themselves."""

    early_stopping_patience: int | None = Field(None, ge=1)
    """Stop after this many epochs without a higher mean IoU on the `eval` split. None: train all epochs."""

    best_weights: bool = False
    """Export the weights of the epoch with the highest mean IoU on the `eval` split, not those of the last."""

    flip_averaging: bool = False
    """Export a model that averages its answers over the image and its mirror image, at twice the cost. The training,
    with the numbers of its epochs, does not."""

    seed: int = Field(0, ge=0, lt=2**31)
    """Of weights, shuffling and augmentation: two runs on CPU with the same seed are equal."""

    gpus: int | None = Field(None, ge=0)
    """GPUs of each machine to train on. None: all that TensorFlow sees; 0: the CPU."""

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """What the layers compute in; weights, logits and loss stay float32. Mixed precision pays on GPUs."""

    xla: bool = False
    """Compile the training step with XLA (one replica only)."""

    steps_per_execution: int = Field(1, ge=1)
    """Steps that run without a return to Python, which pays where a step takes a few milliseconds, as on GPUs."""

    sample_epochs: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 10)
    """Epochs after which predictions of a few `eval` images are kept, beside the last: 0 is before training."""

    @property
    def encoder_name(self) -> str | None:
        """The encoder of the network; None where it has none."""
        return self.encoder if self.model == UNET_ENCODER else MODEL_ENCODERS.get(self.model)

    @field_validator("class_weights", mode="before")
    @classmethod
    def _are_weights(cls, value: object) -> object:
        is_number = (
            [isinstance(each, int | float) and each > 0 for each in value] if isinstance(value, list | tuple) else []
        )
        if value not in (None, "balanced") and not (is_number and all(is_number)):
            raise ValueError(f"{value!r} is neither 'balanced' nor a list of a positive number for each class")
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self._check_encoder()
        if self.gpus and self.batch_size % self.gpus:
            raise ValueError(
                f"batch_size is {self.batch_size}, the batch of all GPUs together, and gpus is {self.gpus}: each GPU "
                "needs an equal share; set batch_size to a multiple"
            )
        if self.xla and self.gpus and self.gpus > 1:
            raise ValueError(f"xla compiles the step of one replica only, and gpus is {self.gpus}; set one of the two")
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs:g}, but there are only {self.epochs} epochs")
        if self.optimizer == "adamw" and not self.weight_decay:
            raise ValueError(
                "optimizer is 'adamw', which is Adam with weight decay, and weight_decay is 0; set weight_decay, as to "
                "0.004, or optimizer to 'adam'"
            )
        if self.loss == "dice" and self.class_weights is not None:
            raise ValueError(
                "class_weights weigh the cross-entropy, and loss is 'dice', which has none; set loss to "
                "'cross_entropy_dice', or class_weights to none"
            )
        return self

    def _check_encoder(self) -> None:
        """Checks that the network has an encoder where settings speak of one.

        Raises:
          ValueError: It has none, or would stay as it is for more epochs than there are.
        """
        if self.model == UNET_ENCODER and self.encoder is None:
            raise ValueError(
                f"model is {UNET_ENCODER!r}, and encoder does not say on which; set it, as to 'mobilenet_v2', or model "
                "to 'unet_lite0'"
            )
        if self.encoder is not None and self.model != UNET_ENCODER:
            raise ValueError(
                f"encoder is {self.encoder!r}, and model is {self.model!r}, which does not take it; set model to "
                f"{UNET_ENCODER!r}, or encoder to none"
            )
        of_encoders = {
            "encoder_weights": (self.encoder_weights, IMAGENET),
            "encoder_learning_rate": (self.encoder_learning_rate, None),
            "freeze_epochs": (self.freeze_epochs, 0),
        }
        # None of the weights means random ones, which is what a network without encoder has.
        set_ones = {key: pair for key, pair in of_encoders.items() if pair[0] not in (None, pair[1])}
        if set_ones and self.encoder_name is None:
            said = " and ".join(f"{key} is {value!r}" for key, (value, _) in set_ones.items())
            unset = ", ".join(f"{key} to {'none' if value is None else value}" for key, (_, value) in set_ones.items())
            raise ValueError(
                f"{said}, and model is {self.model!r}, which has no encoder; set {unset}, or model to one that has an "
                f"encoder: {', '.join([*MODEL_ENCODERS, UNET_ENCODER])}"
            )
        if self.freeze_epochs > self.epochs:
            raise ValueError(f"freeze_epochs is {self.freeze_epochs}, but there are only {self.epochs} epochs")
