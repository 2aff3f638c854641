"""What the server counts and measures of itself, for Prometheus."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

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
