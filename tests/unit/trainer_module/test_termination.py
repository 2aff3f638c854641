"""Signals wait until the training can be resumed, and then do what they would have done."""

import signal
import threading

import pytest

from trainer_module.errors import TrainingInterrupted
from trainer_module.resumption import Termination


def test_a_signal_waits_and_ends_the_process_with_its_exit_code():
    with pytest.raises(TrainingInterrupted) as raised, Termination() as termination:  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        assert termination.requested
    assert raised.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("is_delivered_within", [True, False], ids=["within the block", "at its end"])
def test_an_earlier_handler_has_its_say(is_delivered_within):
    with pytest.raises(KeyboardInterrupt), Termination() as termination:  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        if is_delivered_within:
            termination.deliver()
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_an_error_of_the_training_is_not_hidden():
    with pytest.raises(ValueError, match="of the training"), Termination():
        raise ValueError("of the training")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Termination() as termination:
            signal.raise_signal(signal.SIGHUP)
            assert not termination.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_of_the_main_thread_nothing_is_taken_over():
    handlers = []

    def look():
        with Termination():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.SIG_DFL]
