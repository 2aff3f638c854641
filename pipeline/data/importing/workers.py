"""The processes that read pictures and write shards."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Final, Self, TypeVar

from trainer_module.errors import DataError

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

_LOADED_ONCE: Final = ["tensorflow", "pipeline.data.importing.shards"]
"""By the process that all others are forks of."""


def usable_cores() -> int:
    """Returns on how many cores this process may run."""
    return len(os.sched_getaffinity(0))


class Workers:
    """A number of processes, started when they are needed; with one worker, this process itself.

    They are forks of a fresh process that has loaded TensorFlow and run nothing of it, so that it is loaded once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Waits for what is being worked on, and lets go of the rest."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(self, function: Callable[[_Job], _Result], jobs: Iterable[_Job]) -> Iterator[_Result]:
        """Works through jobs, which have to be picklable.

        Yields:
          The results as they come, in any order.

        Raises:
          DataError: A worker was killed.
        """
        if self._count == 1:
            yield from map(function, jobs)
            return
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(_LOADED_ONCE)
            self._pool = ProcessPoolExecutor(self._count, context, _prepare_worker)
        try:
            for future in as_completed([self._pool.submit(function, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "a worker process was killed, perhaps because memory ran out. What is finished is kept: the same "
                "command goes on from there; give it --workers 1 to need less memory."
            ) from error


def _prepare_worker() -> None:
    """Leaves interrupts to the main process, and ends with it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main_process = multiprocessing.parent_process()
    if main_process is not None:
        threading.Thread(target=_end_with, args=(main_process,), daemon=True).start()


def _end_with(main_process: BaseProcess) -> None:
    wait([main_process.sentinel])
    os._exit(1)
