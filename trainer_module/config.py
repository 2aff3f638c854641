"""Settings of the data contract, preprocessing and training. `pipeline.config.schema` composes them with the rest."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from trainer_module import features

IMAGE_SIZES: Final = {"unet": (32, 16), "blog": (48, 8), "blog_bn": (48, 8), "paper": (32, 16)}
"""Model to the least image size it can take and the number that an image size must be a multiple of."""

SERVED: Final = "served"
"""Stands for the newest pushed model in `trainer.warm_start`."""

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

SplitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """One table of the configuration: immutable, typed, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


Distance = Annotated[float, Field(ge=0, le=1)]


class DriftThresholds(Section):
    """Greatest Jensen–Shannon distance, 0…1, to what the served model was trained on (docs/drift.md); 1: any will do.

    A distance that the number of examples explains is no drift, whatever the threshold.
    """

    height: Distance = 0.15
    width: Distance = 0.15
    aspect: Distance = 0.15
    """Of width by height."""

    brightness: Distance = 0.15
    contrast: Distance = 0.15
    sharpness: Distance = 0.15
    class_shares: Distance = 0.15
    """Of the share of each class in the pixels of an image."""

    labels: Distance = 0.15
    """Of the values of each of `slice_features`."""


class DriftConfig(Section):
    """What becomes of data that is not what the served model was trained on."""

    action: Literal["warn", "refuse", "off"] = "warn"
    """`warn`: the run says so and goes on. `refuse`: it ends before the training. `off`: nothing is compared."""

    thresholds: DriftThresholds = DriftThresholds()


Policy = Literal["ignore", "warn", "drop", "fail"]
"""What to do about a finding: nothing, tell, leave the example out, or refuse the data."""

PolicyOfUnusable = Literal["drop", "fail"]
"""What to do about an example that cannot be trained on."""


class ValidationConfig(Section):
    """What SegmentationValidator does about what it finds in the data, by kind, and from where on something is odd."""

    unreadable_image: PolicyOfUnusable = "fail"
    unreadable_mask: PolicyOfUnusable = "fail"
    size_mismatch: PolicyOfUnusable = "fail"
    undeclared_values: Policy = "fail"
    """Accepted, such pixels are not labelled."""

    no_labelled_pixel: Policy = "warn"
    blank_mask: Policy = "warn"
    """A mask of nothing but `background`."""

    nearly_blank_mask: Policy = "warn"
    one_class_mask: Policy = "warn"
    """A mask of one class that is not `background`."""

    extreme_size: Policy = "warn"
    duplicate: Policy = "warn"
    """An image twice in one split, byte by byte. For images in two splits there is `data.duplicates`."""

    near_duplicate: Policy = "warn"
    """An image that looks like another in its split."""

    near_shared_image: Policy = "warn"
    """An image that looks like one in another of the splits `train`, `eval` and `evaluation.split`."""

    absent_class: Literal["ignore", "warn", "fail"] = "warn"
    """A class without any pixel in a split."""

    background: str | None = None
    """Class that a blank mask has alone. None: the one called `background`, if there is one."""

    nearly_blank_share: float = Field(0.995, gt=0.5, le=1)
    """Share of the labelled pixels that one class has at least in a nearly blank mask."""

    min_side: int = Field(32, ge=1)
    """In pixels: an image with a shorter side is of extreme size, as one with a longer side than `max_side`."""

    max_side: int = Field(8192, ge=1)
    max_aspect_ratio: float = Field(4.0, ge=1)
    """Of the longer side to the shorter."""

    near_duplicate_distance: int = Field(4, ge=0, le=16)
    """Bits, of the 64 of a perceptual hash, in which images that look the same may differ."""

    max_dropped_share: float = Field(0.05, ge=0, lt=1)
    """Share of a split's examples that may be dropped; the run fails where there are more."""


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

    normalization: Literal["unit", "standardize"] = "unit"
    """`unit`: to [0, 1]. `standardize`: to mean 0 and deviation 1 of each channel over the training split."""

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
        for split in ("train", "eval"):
            if split not in self.splits:
                raise ValueError(f"splits has no {split!r}; it has {sorted(self.splits)}")
        self._check_window()
        return self

    def _check_window(self) -> None:
        if self.window is None:
            return
        if unknown := sorted({*self.window_splits} - {*self.splits}):
            raise ValueError(f"window_splits has {unknown[0]!r}, and splits has {sorted(self.splits)}")
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

    model: Literal["unet", "blog", "blog_bn", "paper"] = "unet"
    """Variant of the U-Net: ours, the blog's as published or with batch normalization, or that of the 2015 paper."""

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
