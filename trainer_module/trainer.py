"""Trainer's entry point: builds, trains and exports the network."""

from pathlib import PurePosixPath

import keras
import tensorflow_transform as tft
from tfx.components.trainer import fn_args_utils

from trainer_module.config import DataConfig, TrainerConfig
from trainer_module.dataset import count_examples, eval_dataset, train_dataset
from trainer_module.errors import DataError
from trainer_module.losses import training_loss
from trainer_module.signatures import export_model
from trainer_module.training_log import HistoryFile, ProgressLines
from trainer_module.unet import build_model

HISTORY_FILE_NAME = "history.json"


def run_fn(fn_args: fn_args_utils.FnArgs) -> None:
    """Trains on the transformed `train` split, watches `eval`, and exports the model.

    Args:
      fn_args: TFX's arguments. `custom_config` holds `data` and `trainer`, the fields of `DataConfig` and
        `TrainerConfig`.

    Leaves behind:
      `serving_model_dir`: the SavedModel that `trainer_module.signatures` describes.
      `model_run_dir`/history.json: parameters of the network, and loss and accuracy of each epoch on both splits.
    """
    data = DataConfig.model_validate(fn_args.custom_config["data"])
    config = TrainerConfig.model_validate(fn_args.custom_config["trainer"])
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    keras.utils.set_random_seed(config.seed)

    num_examples = _count("train", fn_args.train_files)
    _count("eval", fn_args.eval_files)
    model = build_model(config.model, data.image_size, data.num_classes)
    model.compile(keras.optimizers.Adam(config.learning_rate), training_loss(), metrics=["accuracy"])

    history_path = str(PurePosixPath(fn_args.model_run_dir) / HISTORY_FILE_NAME)
    model.fit(
        train_dataset(fn_args.train_files, transform_output, data.image_size, config.batch_size, config.seed),
        validation_data=eval_dataset(fn_args.eval_files, transform_output, data.image_size, config.batch_size),
        epochs=config.epochs,
        steps_per_epoch=config.steps_per_epoch or max(1, num_examples // config.batch_size),
        callbacks=[*_selection(config), HistoryFile(history_path), ProgressLines()],
        verbose=0,
    )
    export_model(model, transform_output, data, fn_args.serving_model_dir)


def _count(split: str, files: list[str]) -> int:
    count = count_examples(files)
    if count == 0:
        raise DataError(f"the transformed {split!r} split holds no example: {files}. Check data.splits.{split}.")
    return count


def _selection(config: TrainerConfig) -> list[keras.callbacks.Callback]:
    """Returns the callback that stops early, keeps the best weights, or both; none when neither is asked for."""
    if config.early_stopping_patience is None and not config.best_weights:
        return []
    return [
        keras.callbacks.EarlyStopping(
            monitor="val_loss",
            patience=config.early_stopping_patience or config.epochs,
            restore_best_weights=config.best_weights,
        )
    ]
