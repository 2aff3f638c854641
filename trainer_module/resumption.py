"""Takes a Keras training up where it was left, and leaves checkpoints for the next time.

A training that was killed at any moment and started again ends with the weights and the history of one that was not:
the network, the optimizer, the running metrics, the selection of the best weights and the order of the data all go on
from the same step. (To the bit on one device whose operations are deterministic, as a CPU; to rounding elsewhere.)

A process that is told to end finishes its batch and leaves a checkpoint. Kubernetes sends SIGTERM when it takes a node
away, and kills 30 seconds later; a handler that raises at once would leave the training between two states, of which
none could be resumed.
"""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, Final, NoReturn, Self

import keras
from absl import logging

from trainer_module.checkpoints import Arrays, Checkpoint, CheckpointStore, Position, Shapes
from trainer_module.errors import TrainingInterrupted
from trainer_module.monitoring import Samples
from trainer_module.training_log import HistoryFile

_SECONDS_BETWEEN_CHECKPOINTS: Final = 600
"""Within an epoch; at the end of each one is written anyway."""

_SELECTION_STATE: Final = ("wait", "stopped_epoch", "best", "best_epoch")
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Termination:
    """Holds signals back while its block runs; one that is still pending at the end of the block is delivered then.

    The block looks at `requested` wherever it can be resumed from, writes its checkpoint, and calls `deliver`.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """True from the first signal on."""
        return self._number is not None

    def deliver(self) -> NoReturn:
        """Hands the signal to whoever handled it before, and ends the training if that did not.

        Raises:
          KeyboardInterrupt: What most handlers raise.
          TrainingInterrupted: There was no handler, or it raised nothing.
        """
        number = self._number or signal.SIGTERM
        previous = self._previous.get(number)
        self._release()
        if callable(previous):
            previous(number, None)
        raise TrainingInterrupted(number)

    def __enter__(self) -> Self:
        """Takes over the signals that would end the process, in the main thread; in another one it does nothing."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        """Gives the signals back; delivers one that is pending, unless the block ends with an error."""
        if kind is None and self.requested:
            self.deliver()
        self._release()

    def _release(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._number = self._number or number


class TrainingState:
    """The variables of a compiled model whose optimizer and metrics have theirs."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    @property
    def shapes(self) -> Mapping[str, Shapes]:
        """What a checkpoint of this training must hold."""
        groups = {
            "variables": self._model.variables,
            "optimizer": self._model.optimizer.variables,
            "metrics": self._model.metrics_variables,
        }
        return {
            group: [(tuple(variable.shape), variable.dtype) for variable in variables]
            for group, variables in groups.items()
        }

    def capture(self, position: Position, metrics: Arrays, best_weights: Arrays, samples: Arrays) -> Checkpoint:
        """Returns the state as it is now."""
        return Checkpoint(
            position,
            variables=_arrays(self._model.variables),
            optimizer=_arrays(self._model.optimizer.variables),
            metrics=metrics,
            best_weights=best_weights,
            samples=samples,
        )

    def capture_metrics(self) -> Arrays:
        """Returns the running sums of the epoch."""
        return _arrays(self._model.metrics_variables)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Sets network and optimizer, and makes the next epoch pass over the steps that are done."""
        _assign(self._model.variables, checkpoint.variables)
        _assign(self._model.optimizer.variables, checkpoint.optimizer)
        if not checkpoint.position.step:
            return
        model = self._model
        model.make_train_function()
        train, done = model.train_function, iter(range(0, checkpoint.position.step, model.steps_per_execution))

        def train_unless_done(iterator: Any) -> Any:
            """Draws no batch for an execution that was done before."""
            return train(iterator) if next(done, None) is None else model.get_metrics_result()

        model.train_function = train_unless_done

    def restore_metrics(self, checkpoint: Checkpoint) -> None:
        """Sets the running sums."""
        _assign(self._model.metrics_variables, checkpoint.metrics)


class Resumption(keras.callbacks.Callback):
    """Restores what Keras resets as it starts, writes checkpoints, and ends the training when a signal asks for that.

    It is the last in the list of callbacks, so that the others have heard of an epoch's end before it is written.
    """

    def __init__(
        self,
        state: TrainingState,
        resumed: Checkpoint | None,
        store: CheckpointStore | None,
        termination: Termination,
        history: HistoryFile,
        selection: keras.callbacks.EarlyStopping | None,
        samples: Samples,
        *,
        writes_within_epochs: bool,
    ) -> None:
        """Restores the state.

        Args:
          state: The variables.
          resumed: Where to go on from; None: from the beginning.
          store: Where to write; None: nowhere.
          termination: Whether to end.
          history: Knows the finished epochs.
          selection: Stops early or keeps the best weights.
          samples: Has predictions of earlier epochs.
          writes_within_epochs: False where the running metrics cannot be read by one worker alone.
        """
        super().__init__()
        self._state = state
        self._resumed = resumed
        self._store = store
        self._termination = termination
        self._writes_within_epochs = writes_within_epochs
        self._history = history
        self._selection = selection
        self._samples = samples
        self._epoch = self._step = 0
        self._metrics_of_epoch: Arrays | None = None
        self._last_written = time.monotonic()
        if resumed is not None:
            state.restore(resumed)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the state of early stopping, which has just been reset."""
        self._end_if_requested()
        position = self._resumed.position if self._resumed else None
        if self._resumed and position and position.selection and self._selection:
            for name in _SELECTION_STATE:
                setattr(self._selection, name, position.selection[name])
            self._selection.best_weights = self._resumed.best_weights or None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Restores the running metrics of an epoch that is taken up in its midst."""
        self._epoch, self._step = epoch, 0
        if self._resumed and self._resumed.position.step:
            self._step = self._resumed.position.step
            self._state.restore_metrics(self._resumed)
        self._resumed = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes a checkpoint when the last is old enough or the training is to end."""
        done = min(batch + 1, self.params["steps"])
        if done <= self._step:
            return  # steps that were done before
        self._step = done
        is_due = time.monotonic() - self._last_written >= _SECONDS_BETWEEN_CHECKPOINTS
        if self._writes_within_epochs and (is_due or self._termination.requested):
            self._write(self._state.capture_metrics())
        self._end_if_requested()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keeps the running metrics, which validation uses for itself."""
        if self._writes_within_epochs:
            self._metrics_of_epoch = self._state.capture_metrics()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the state before validation when the training is to end."""
        if self._termination.requested and self._metrics_of_epoch is not None:
            self._write(self._metrics_of_epoch)
        self._end_if_requested()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes a checkpoint."""
        self._epoch, self._step = epoch + 1, 0
        self._write(metrics=[])
        self._end_if_requested()

    def _write(self, metrics: Arrays) -> None:
        if self._store is None:
            return
        selection, predictions = self._selection, self._samples.predictions
        position = Position(
            epoch=self._epoch,
            step=self._step,
            is_stopped=bool(self.model.stop_training),
            history=self._history.epochs,
            selection={name: getattr(selection, name) for name in _SELECTION_STATE} if selection else None,
            sampled_epochs=list(predictions),
        )
        best_weights: Arrays = getattr(selection, "best_weights", None) or []
        self._store.save(self._state.capture(position, metrics, best_weights, list(predictions.values())))
        self._last_written = time.monotonic()

    def _end_if_requested(self) -> None:
        if not self._termination.requested:
            return
        kept = "; it goes on from a checkpoint when it is started again" if self._store else ""
        logging.warning("The training was asked to end in epoch %d, step %d%s.", self._epoch + 1, self._step, kept)
        self._termination.deliver()


def _arrays(variables: Sequence[Any]) -> Arrays:
    return [variable.numpy() for variable in variables]


def _assign(variables: Sequence[Any], arrays: Arrays) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
