"""Trainer's entry point: builds, trains and exports the network."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import keras
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging

from trainer_module.checkpoints import Checkpoint, CheckpointStore, Position
from trainer_module.config import DataConfig, TrainerConfig
from trainer_module.dataset import count_class_pixels, count_examples, eval_dataset, first_examples, train_dataset
from trainer_module.distribution import Cluster, check_agreement, check_batch_size, check_compilation, choose_strategy
from trainer_module.encoder_catalogue import ENCODER
from trainer_module.encoders.weights import load_weights, write_provenance
from trainer_module.errors import DataError
from trainer_module.fine_tuning import FineTuning, FrozenEpochs
from trainer_module.losses import balanced_weights, training_loss
from trainer_module.model_card import EncoderWeights
from trainer_module.monitoring import EVENTS_DIRECTORY, SAMPLE_COUNT, SAMPLES_DIRECTORY, EventFiles, Samples
from trainer_module.networks import build_model
from trainer_module.optimization import EXPORTED, ExactEpochs, build_optimizer, dtype_policy, warn_of_slowness
from trainer_module.resumption import Resumption, Termination, TrainingState
from trainer_module.signatures import export_model
from trainer_module.trained_model import TrainedModel
from trainer_module.training_failures import FiniteTraining, explained_memory_errors
from trainer_module.training_log import EpochFacts, HistoryFile, ProgressLines
from trainer_module.warm_start import find_weights, start_from

if TYPE_CHECKING:
    from tfx.components.trainer import fn_args_utils  # a worker that trains outside of TFX need not load it

HISTORY_FILE_NAME: Final = "history.json"


def run_fn(fn_args: "fn_args_utils.FnArgs") -> None:
    """Trains on the transformed `train` split, watches `eval`, and exports the model.

    A training that was ended before is taken up from its checkpoint (`trainer_module.checkpoints`). On several workers
    (`trainer_module.distribution`) each one calls this, and the chief alone writes.

    Args:
      fn_args: TFX's arguments. `custom_config` holds `data` and `trainer`, the fields of `DataConfig` and
        `TrainerConfig`.

    Leaves behind:
      `serving_model_dir`: the SavedModel that `trainer_module.signatures` describes.
      `model_run_dir`/history.json: parameters of the network, and loss, accuracy and mean IoU of each epoch on both
        splits.
      `model_run_dir`/samples, /tensorboard: what `trainer_module.monitoring` describes.
      `model_run_dir`/warm_start.json: which weights came from an earlier model, if there was one.
      `model_run_dir`/encoder_weights.json: where the encoder's weights came from, if there is one and that is known.

    Raises:
      ConfigError: The devices or workers are not what the settings say, or the encoder's weights are not installed.
      DataError: A split is empty, or the workers do not agree on what they train.
      ModelError: The model to start from, or the file of the encoder's weights, cannot be used.
      TrainingError: The loss is not finite, or the memory is used up.
      KeyboardInterrupt, TrainingInterrupted: A signal ended the training; it left a checkpoint.
    """
    cluster = Cluster.from_environment()
    config = TrainerConfig.model_validate(fn_args.custom_config["trainer"])
    strategy = choose_strategy(config.gpus, cluster)
    check_batch_size(config.batch_size, strategy.num_replicas_in_sync)
    check_compilation(config.xla, strategy.num_replicas_in_sync)
    warn_of_slowness(config.precision, config.gpus)
    training = _Training(fn_args, config, cluster, strategy)
    with Termination() as termination, explained_memory_errors(config, training.data.image_size):
        network = training.run(termination)
    if cluster.is_chief:
        training.export(network)
    else:
        tf.io.gfile.makedirs(fn_args.serving_model_dir)  # TFX's Trainer fails where there is none
    # All leave together: to the others, one that is gone has crashed.
    check_agreement(strategy, {"trainer.epochs": config.epochs}, "Give all of them the same settings.")


class _Training:
    """One training, from an untrained network or a checkpoint to the model that is exported."""

    def __init__(
        self, fn_args: "fn_args_utils.FnArgs", config: TrainerConfig, cluster: Cluster, strategy: tf.distribute.Strategy
    ) -> None:
        self.data = DataConfig.model_validate(fn_args.custom_config["data"])
        self._fn_args = fn_args
        self._config = config
        self._cluster = cluster
        self._strategy = strategy
        self._transform_output = tft.TFTransformOutput(fn_args.transform_output)
        self._earlier = find_weights(config.warm_start, fn_args.base_model)
        self._encoder_weights: EncoderWeights | None = None
        self._fine_tuning: FineTuning | None = None
        self._store: CheckpointStore | None = None

    def run(self, termination: Termination) -> keras.Model:
        """Returns the trained network."""
        config, fn_args, size = self._config, self._fn_args, self.data.image_size
        keras.utils.set_random_seed(config.seed)
        num_examples = _count("train", fn_args.train_files)
        _count("eval", fn_args.eval_files)
        steps = config.steps_per_epoch or max(1, num_examples // config.batch_size)
        model = self._model(steps)
        self._store = self._checkpoints()
        with self._strategy.scope():
            state = TrainingState(model)
            resumed = self._checkpoint(state)
            start = resumed.position if resumed else Position()
            model.fit(
                train_dataset(
                    fn_args.train_files,
                    self._transform_output,
                    size,
                    config.batch_size,
                    config.seed,
                    num_examples=num_examples,
                    augmentation=config.augmentation,
                    reflects_masks=not self.data.ignore_values,
                    skip_batches=start.epoch * steps + start.step,
                ),
                validation_data=eval_dataset(fn_args.eval_files, self._transform_output, size, config.batch_size),
                epochs=config.epochs,
                initial_epoch=config.epochs if start.is_stopped else start.epoch,
                steps_per_epoch=steps,
                callbacks=self._callbacks(state, resumed, termination),
                verbose=0,
            )
        return model.evaluated_network

    def export(self, network: keras.Model) -> None:
        """Writes the SavedModel; then the checkpoint has had its day."""
        with dtype_policy(EXPORTED):  # with one copy of each weight, whatever the replicas
            exported = self._network()
        exported.set_weights(network.get_weights())
        encoder = self._provenance()
        if encoder is not None:
            write_provenance(encoder, self._fn_args.model_run_dir)
        export_model(
            exported,
            self._transform_output,
            self.data,
            self._fn_args.serving_model_dir,
            encoder,
            flip_averaging=self._config.flip_averaging,
        )
        if self._store is not None:
            self._store.remove()

    def _model(self, steps_per_epoch: int) -> TrainedModel:
        """Returns the model before its training, with the weights of an earlier one where that is asked for."""
        config, strategy = self._config, self._strategy
        with strategy.scope(), dtype_policy(config.precision):
            network = self._network(synchronized=strategy.num_replicas_in_sync > 1)
            if self._earlier is not None:
                warm_start = start_from(network, self._earlier)
                if self._cluster.is_chief:
                    warm_start.write(self._fn_args.model_run_dir)
            self._prepare_encoder(network)
            optimizer = build_optimizer(config, network, steps_per_epoch, self._fine_tuning)
        return TrainedModel(
            network,
            strategy,
            optimizer,
            training_loss(config, self._class_weights()),
            config.weight_averaging,
            xla=config.xla,
            steps_per_execution=config.steps_per_execution,
        )

    def _network(self, *, synchronized: bool = False) -> keras.Model:
        config, data = self._config, self.data
        return build_model(
            config.model, data.image_size, data.num_classes, encoder=config.encoder, synchronized=synchronized
        )

    def _prepare_encoder(self, network: keras.Model) -> None:
        """Gives the encoder, where there is one, its weights, unless an earlier model gave it its own."""
        config = self._config
        encoder = config.encoder_name
        if encoder is None:
            return
        if self._earlier is None and config.encoder_weights is not None:
            self._encoder_weights = load_weights(network.get_layer(ENCODER), encoder, config.encoder_weights)
            logging.info("The encoder starts from the weights %r.", config.encoder_weights)
        self._fine_tuning = FineTuning(
            network.get_layer(ENCODER),
            config,
            is_pretrained=self._earlier is not None or self._encoder_weights is not None,
        )

    def _provenance(self) -> EncoderWeights | None:
        """Returns where the encoder's weights came from; None without one, or where an earlier model does not say."""
        encoder = self._config.encoder_name
        if encoder is None:
            return None
        if self._earlier is not None:
            return self._earlier.encoder
        return self._encoder_weights or EncoderWeights(encoder=encoder)

    def _checkpoints(self) -> CheckpointStore | None:
        """Returns those of trainings with the same settings on the same data from the same weights."""
        fn_args = self._fn_args
        return CheckpointStore.from_environment(
            {
                "warm_start": self._earlier.digest if self._earlier else None,
                "encoder_weights": self._encoder_weights.sha256 if self._encoder_weights else None,
                "custom_config": fn_args.custom_config,
                "train_files": fn_args.train_files,
                "eval_files": fn_args.eval_files,
                "transform_output": fn_args.transform_output,
            }
        )

    def _class_weights(self) -> list[float] | None:
        """Returns the weight of each class in the loss; all workers count the same files."""
        if self._config.class_weights != "balanced":
            return list(self._config.class_weights) if self._config.class_weights else None
        data = self.data
        counts = count_class_pixels(
            self._fn_args.train_files, self._transform_output, data.image_size, data.num_classes
        )
        pixels = dict(zip(data.class_names, counts.tolist(), strict=True))
        missing = [name for name, count in pixels.items() if not count]
        if missing:
            raise DataError(
                f"the transformed 'train' split has no pixel of {', '.join(map(repr, missing))}, so "
                "trainer.class_weights = 'balanced' has no weight for it; give a number for each class instead"
            )
        check_agreement(
            self._strategy,
            {f"the number of pixels of {name!r}": count for name, count in pixels.items()},
            "All of them must read the same transformed 'train' split.",
        )
        return balanced_weights(counts)

    def _checkpoint(self, state: TrainingState) -> Checkpoint | None:
        """Returns where the training goes on, which all workers must have found in the same place."""
        resumed = self._store.load(state.shapes) if self._store else None
        position = resumed.position if resumed else Position()
        check_agreement(
            self._strategy,
            {"the checkpoint's epoch": position.epoch, "the checkpoint's step": position.step},
            "PETSEG_CHECKPOINT_DIR must be one directory that all of them share.",
        )
        if resumed is not None:
            logging.info("The training goes on after epoch %d, step %d.", position.epoch, position.step)
        return resumed

    def _callbacks(
        self, state: TrainingState, resumed: Checkpoint | None, termination: Termination
    ) -> list[keras.callbacks.Callback]:
        """Returns what each worker needs to keep step, and on the chief what writes."""
        config, directory = self._config, PurePosixPath(self._fn_args.model_run_dir)
        chief = self._cluster.is_chief
        selection = _selection(config)
        history = HistoryFile(str(directory / HISTORY_FILE_NAME), resumed.position.history if resumed else ())
        sampling = self._samples(resumed)
        events = EventFiles(str(directory / EVENTS_DIRECTORY), history, sampling)
        resumption = Resumption(
            state,
            resumed,
            self._store if chief else None,
            termination,
            history,
            selection,
            sampling,
            writes_within_epochs=self._cluster.num_workers == 1,
        )
        return [
            ExactEpochs(),
            *([FrozenEpochs(self._fine_tuning)] if self._fine_tuning else []),
            FiniteTraining(config),
            *([selection] if selection else []),
            EpochFacts(config.batch_size, resumed.position.step if resumed else 0),
            *([history, ProgressLines()] if chief else []),
            sampling,
            *([events] if chief else []),
            resumption,
        ]

    def _samples(self, resumed: Checkpoint | None) -> Samples:
        """Returns what predicts samples: on every worker, as reading a weight may need all of them."""
        files, size = self._fn_args.eval_files, self.data.image_size
        directory = str(PurePosixPath(self._fn_args.model_run_dir) / SAMPLES_DIRECTORY)
        return Samples(
            first_examples(files, self._transform_output, size, SAMPLE_COUNT),
            self.data.num_classes,
            self._config.sample_epochs,
            directory if self._cluster.is_chief else None,
            dict(zip(resumed.position.sampled_epochs, resumed.samples, strict=True)) if resumed else None,
        )


def _count(split: str, files: list[str]) -> int:
    count = count_examples(files)
    if count == 0:
        raise DataError(f"the transformed {split!r} split holds no example: {files}. Check data.splits.{split}.")
    return count


def _selection(config: TrainerConfig) -> keras.callbacks.EarlyStopping | None:
    """Returns the callback that stops early, keeps the best weights, or both; none when neither is asked for."""
    if config.early_stopping_patience is None and not config.best_weights:
        return None
    return keras.callbacks.EarlyStopping(
        monitor="val_mean_iou",
        mode="max",
        patience=config.early_stopping_patience or config.epochs,
        restore_best_weights=config.best_weights,
    )
