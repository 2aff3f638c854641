"""How a canary is watched, as it travels through TFX as JSON."""

from typing import Self

from pydantic import BaseModel, ConfigDict


class WatchSettings(BaseModel):
    """The fields mean what those of the same name in `pipeline.config.kserve.KServeWatchConfig` mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int
    minutes: float
    min_requests: int
    pause_seconds: float
    timeout_seconds: float
    images: int
    max_error_share: float
    max_latency_ratio: float
    max_difference: float | None

    split: str = ""
    """The split of the examples that the images are from; empty where they are from elsewhere."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls.model_validate_json(text)
