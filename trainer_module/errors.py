"""The errors petseg raises on purpose, all below one base.

    PetsegError
    ├── ConfigError   the configuration cannot be used: exit code 2
    ├── DataError     the data set, a split or a record cannot be used: exit code 1
    ├── ModelError    a model directory cannot be used: exit code 1
    └── TrainingError the training cannot go on: exit code 1

A message says what was expected, what came, where (file, split, setting) and what to do about it.

Beside them is `TrainingInterrupted`, which is no error: a signal ended the training, and the process is to end.
"""

import signal


class PetsegError(Exception):
    """The base of every error that is the user's to mend; its message is shown without a traceback."""


class ConfigError(PetsegError):
    """A setting is unknown, out of range, or contradicts another."""


class DataError(PetsegError):
    """A data set, split or record is missing, empty, corrupt or not what was declared."""


class ModelError(PetsegError):
    """A directory holds no model that petseg can load and call."""


class TrainingError(PetsegError):
    """The training cannot go on: its loss is no number any more, or its memory is used up."""


class TrainingInterrupted(SystemExit):
    """A signal ended the training between two steps; the process exits with 128 + its number, as the shell has it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)
        self.signal = signal.Signals(signal_number)
