"""What a component on Beam waits for, said to whoever shows the run."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_LOGGER: Final = logging.getLogger(__name__)
_listeners: list[Callable[[str], None]] = []


def notice(text: str) -> None:
    """Says what is waited for; an empty text says that it is over."""
    if text:
        _LOGGER.warning("%s", text)
    for listener in _listeners:
        listener(text)


@contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Passes notices on while the block runs; Beam makes its runners itself, so that nothing can be given to them."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
