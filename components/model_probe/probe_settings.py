"""What a model may cost to serve, as it travels through TFX."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from components.model_probe.findings import Measurements


class ProbeSettings(BaseModel):
    """The budgets, None for none; the fields mean what those of the same name in `pipeline.config.ProbeConfig` mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str
    """Whose raw examples the model is asked about."""

    examples: int
    max_load_seconds: float | None = None
    max_latency_p50_ms: float | None = None
    max_latency_p99_ms: float | None = None
    max_memory_mb: float | None = None
    code_digest: str = ""
    """Identifies the code of the probe, so that a change to it re-runs the component."""

    def overruns(self, measured: Measurements) -> Iterator[str]:
        """Yields a line for each budget that was not kept."""
        for name, words in {
            "load_seconds": "loading took {:.1f} s",
            "latency_p50_ms": "half of the requests took {:.0f} ms or more",
            "latency_p99_ms": "the slowest requests (p99) took {:.0f} ms",
            "memory_mb": "loading and answering took {:.0f} MB of memory",
        }.items():
            value, budget = getattr(measured, name), getattr(self, f"max_{name}")
            if value is not None and budget is not None and value > budget:
                yield f"{words.format(value)}; probe.max_{name} is {budget:g}"
