"""Lets a training finish its batch and leave a checkpoint when the process is told to end.

Kubernetes sends SIGTERM when it takes a node away, and kills 30 seconds later. A handler that raises at once would
leave the training between two states, of which none could be resumed.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NoReturn

from trainer_module.errors import TrainingInterrupted

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Termination:
    """Whether a signal asked the training to end."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """True from the first signal on."""
        return self._number is not None

    def obey(self) -> NoReturn:
        """Hands the signal to whoever handled it before, and ends the training if that did not.

        Raises:
          KeyboardInterrupt: What most handlers raise.
          TrainingInterrupted: There was no handler, or it raised nothing.
        """
        number = self._number or signal.SIGTERM
        previous = self._previous.get(number)
        self.release()
        if callable(previous):
            previous(number, None)
        raise TrainingInterrupted(number)

    def watch(self) -> None:
        """Takes over the signals that would end the process, in the main thread; in another one it does nothing."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._previous[number] = signal.signal(number, self._note)

    def release(self) -> None:
        """Gives the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._number = self._number or number


@contextmanager
def checkpoint_on_termination() -> Iterator[Termination]:
    """Holds signals back while the block runs; what is still unheeded at its end takes effect then.

    The block looks at `requested` wherever it can be resumed from, writes its checkpoint, and calls `obey`.

    Raises:
      KeyboardInterrupt, TrainingInterrupted: As `Termination.obey`.
    """
    termination = Termination()
    termination.watch()
    try:
        yield termination
        if termination.requested:
            termination.obey()
    finally:
        termination.release()
