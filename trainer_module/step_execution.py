"""Several training steps in one call of TensorFlow, and no more of them than an epoch has.

Keras runs `steps_per_execution` steps a call and as many whole calls as cover the epoch: of an epoch of 7 steps at 5
an execution it would make 10. Here the last call of an epoch runs what is left.
"""

from collections.abc import Callable
from typing import Any

import keras


class ExactEpochs(keras.callbacks.Callback):
    """Makes the last execution of each epoch as short as it must be. The model's train function is `per_length`."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes how many steps an execution has."""
        self._steps = self.model.steps_per_execution

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the length of the execution to come."""
        self.model.steps_per_execution = min(self._steps, self.params["steps"] - batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Puts the length back, for validation."""
        self.model.steps_per_execution = self._steps


def per_length(model: keras.Model, make: Callable[[], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Returns a train function that runs `model.steps_per_execution` steps, whatever that is at the call.

    Args:
      model: The model.
      make: Makes a train function that is traced, at its first call, for the number of steps of that moment.
    """
    functions: dict[int, Callable[[Any], Any]] = {}

    def train(iterator: Any) -> Any:
        steps = model.steps_per_execution
        if steps not in functions:
            functions[steps] = make()
        return functions[steps](iterator)

    return train
