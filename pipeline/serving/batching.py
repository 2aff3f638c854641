"""Runs requests through the model one batch at a time; requests that wait for the same signature go together.

What the server counts and measures of itself, for Prometheus, is here, too.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from pipeline.serving.limits import Limits
from pipeline.serving.model import Arrays, InvalidInputError, LoadedModel

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64)


class Measurements:
    """Counters, gauges and histograms of one server; beside them the process's own, as its resident memory."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, of no use here
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter("petseg_requests", "Requests answered.", ["route", "status"], registry=self._registry)
        self.request_seconds = Histogram(
            "petseg_request_seconds",
            "From the headers of a request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.model_seconds = Histogram(
            "petseg_model_seconds", "The model's time for a batch.", buckets=_SECONDS, registry=self._registry
        )
        self.batch_rows = Histogram(
            "petseg_batch_rows", "Rows (images) of a batch.", buckets=_ROWS, registry=self._registry
        )
        self.queue_length = Gauge("petseg_queue_length", "Requests that wait for the model.", registry=self._registry)
        self.model_version = Gauge("petseg_model_version", "The version that is served.", registry=self._registry)
        self.model_loads = Counter(
            "petseg_model_loads", "Versions that were loaded, or were not.", ["result"], registry=self._registry
        )

    def text(self) -> bytes:
        """Returns everything in Prometheus' text format."""
        return generate_latest(self._registry)


@dataclass(frozen=True)
class Answer:
    """What the model answered a request, and how long it took."""

    outputs: dict[str, NDArray[Any]]
    waited_seconds: float
    model_seconds: float
    """Of the whole batch that the request was part of."""


@dataclass(frozen=True)
class Work:
    """What a request asks of a model.

    Attributes:
      model: The version that answers.
      signature: The signature's name.
      inputs: Arrays as the signature takes them.
      rows: Length of their first axis.
      pixels: Of all encoded images among them, once decoded.
    """

    model: LoadedModel
    signature: str
    inputs: Arrays
    rows: int
    pixels: int = 0

    def goes_with(self, other: "Work") -> bool:
        """Whether the rows of both can be concatenated."""
        return (
            self.model is other.model
            and self.signature == other.signature
            and self.model.signatures[self.signature].is_batched
            and all(array.shape[1:] == other.inputs[name].shape[1:] for name, array in self.inputs.items())
        )


@dataclass(eq=False)
class _Waiting:
    work: Work
    future: asyncio.Future[Answer]
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """The queue before the model, and the one thread that calls it."""

    def __init__(self, limits: Limits, measurements: Measurements) -> None:
        self._limits: Final = limits
        self._measurements: Final = measurements
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._clients = 1  # requests that were served or waiting when the last batch ended
        self._window_end = 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves the queue while the block runs."""
        with ThreadPoolExecutor(1, thread_name_prefix="model") as thread:
            dispatcher = asyncio.create_task(self._dispatch(thread))
            try:
                yield
            finally:
                dispatcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await dispatcher

    async def run(self, work: Work) -> Answer:
        """Returns the model's answer; cancelled before its batch starts, the work is not done.

        Raises:
          InvalidInputError: The model refuses the values of this work.
        """
        waiting = _Waiting(work, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._arrived.set()
        self._measurements.queue_length.set(len(self._queue))
        return await waiting.future

    async def _dispatch(self, thread: ThreadPoolExecutor) -> None:
        while True:
            await self._gather()
            batch = self._next_batch()
            if batch:
                started = time.perf_counter()
                await self._serve(batch, thread)
                ended = time.perf_counter()
                self._clients = len(batch) + len(self._queue)
                self._window_end = ended + self._limits.batch_window_share * (ended - started)

    async def _gather(self) -> None:
        """Waits for a request, and right after a batch of several for those clients' next ones: a lone one never waits.

        Without that, of clients that ask again and again the fastest would always go alone.
        """
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        while len(self._queue) < self._clients and (left := self._window_end - time.perf_counter()) > 0:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), left)

    def _next_batch(self) -> list[_Waiting]:
        """Takes the oldest request and those that can go with it, within the limits; drops what nobody waits for."""
        batch: list[_Waiting] = []
        later: deque[_Waiting] = deque()
        rows = pixels = 0
        for waiting in self._queue:
            work = waiting.work
            if waiting.future.done():
                continue
            fits = rows + work.rows <= self._limits.max_batch and pixels + work.pixels <= self._limits.max_pixels
            if not batch or (fits and work.goes_with(batch[0].work)):
                batch.append(waiting)
                rows, pixels = rows + work.rows, pixels + work.pixels
            else:
                later.append(waiting)
        self._queue = later
        self._measurements.queue_length.set(len(later))
        return batch

    async def _serve(self, batch: list[_Waiting], thread: ThreadPoolExecutor) -> None:
        started = time.perf_counter()
        works = [waiting.work for waiting in batch]
        try:
            answers = await asyncio.get_running_loop().run_in_executor(thread, _run, works)
        except InvalidInputError as error:
            if len(batch) > 1:  # one client's corrupt image must not fail the others
                for waiting in batch:
                    await self._serve([waiting], thread)
            else:
                _fail(batch, error)
            return
        except Exception as error:  # noqa: BLE001 (whatever TensorFlow raises is the requests' to report)
            _fail(batch, error)
            return
        seconds = time.perf_counter() - started
        self._measurements.batch_rows.observe(sum(work.rows for work in works))
        self._measurements.model_seconds.observe(seconds)
        for waiting, outputs in zip(batch, answers, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(Answer(outputs, started - waiting.since, seconds))


def _run(works: list[Work]) -> list[dict[str, NDArray[Any]]]:
    """Calls the model once and returns each work's rows of the outputs."""
    first = works[0]
    if len(works) == 1:
        return [first.model.run(first.signature, first.inputs)]
    inputs = {name: np.concatenate([work.inputs[name] for work in works]) for name in first.inputs}
    outputs = first.model.run(first.signature, inputs)
    ends = np.cumsum([work.rows for work in works])
    return [
        {name: array[end - work.rows : end] for name, array in outputs.items()}
        for work, end in zip(works, ends, strict=True)
    ]


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(error)
