"""Settings of the data contract, preprocessing and training. `pipeline.config` composes them with the rest."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

IMAGE_SIZES: Final = {"blog": (48, 8)}
"""Model to the least image size it can take and the number that an image size must be a multiple of."""

SplitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """One table of the configuration: immutable, typed, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class DataConfig(Section):
    """What to read, and what its masks mean."""

    dataset: str = Field("synthetic_pets", pattern=r"^[\w/]+(:[\d.*]+)?$")
    """TFDS name with optional configuration and version: `oxford_iiit_pet:4.*.*`, `my_data/large:1.0.0`."""

    data_dir: str | None = None
    """TFDS data directory, local or `gs://`. None: `data` under the pipeline root."""

    download: bool = True
    """Download and prepare the data set when `data_dir` does not hold it."""

    builder_modules: tuple[str, ...] = ("components.datasets.synthetic_pets",)
    """Python modules to import that register further TFDS builders."""

    splits: dict[SplitName, str] = Field({"train": "train[:90%]", "eval": "train[90%:]", "test": "test"})
    """Split name to TFDS slice. `train` is trained on, `eval` selects the best weights, `test` is for the gate."""

    duplicates: Literal["error", "warn"] = "error"
    """What to do about images of the training split that are in the evaluated split too, byte by byte."""

    image_feature: str = "image"
    mask_feature: str = "segmentation_mask"

    slice_features: tuple[str, ...] = ("species", "label")
    """Further scalar features (class labels, strings, integers) to carry along, to slice the evaluation by."""

    schema_file: str = "oxford_iiit_pet"
    """TFDV schema of the raw features: a file (`.pbtxt`), or a curated one by name: `oxford_iiit_pet`, or
    `segmentation`, which fits every data set and says nothing of slice features."""

    class_names: tuple[str, ...] = Field(("pet", "background", "border"), min_length=2, max_length=255)
    """Names of the classes; the position is the class id."""

    mask_values: tuple[Annotated[int, Field(ge=0, le=255)], ...] = (1, 2, 3)
    """The value that stands for each class in the raw masks, in the order of `class_names`."""

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
        for name in ("mask_values", "class_names"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} repeats an entry: {list(values)}")
        for split in ("train", "eval"):
            if split not in self.splits:
                raise ValueError(f"splits has no {split!r}; it has {sorted(self.splits)}")
        return self


class TrainerConfig(Section):
    """The network and how it is trained."""

    model: Literal["blog"] = "blog"
    """Variant of the U-Net."""

    epochs: int = Field(10, ge=1)
    steps_per_epoch: int | None = Field(None, ge=1)
    """Batches in an epoch. None: one pass over the training split."""

    batch_size: int = Field(64, ge=1)
    """Examples in a batch, on all GPUs and workers together; each takes an equal share."""

    gpus: int | None = Field(None, ge=0)
    """GPUs of each machine to train on. None: all that TensorFlow sees; 0: the CPU."""

    learning_rate: float = Field(1e-3, gt=0)
    """Of Adam (Kingma and Ba 2015). It is not scaled with the number of GPUs, because the batch is not."""

    early_stopping_patience: int | None = Field(None, ge=1)
    """Stop after this many epochs without a lower loss on the `eval` split. None: train all epochs."""

    best_weights: bool = False
    """Export the weights of the epoch with the lowest loss on the `eval` split, not those of the last."""

    seed: int = Field(0, ge=0, lt=2**31)
    """Of weights and shuffling: two runs on CPU with the same seed are equal."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.gpus and self.batch_size % self.gpus:
            raise ValueError(
                f"batch_size is {self.batch_size}, the batch of all GPUs together, and gpus is {self.gpus}: each GPU "
                "needs an equal share; set batch_size to a multiple"
            )
        return self
