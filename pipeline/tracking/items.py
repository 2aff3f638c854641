"""What is told of a run, in pieces that are sent one by one; each may be sent twice and is there once."""

from pathlib import PurePath
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Piece(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Params(_Piece):
    """Settings, which never change."""

    kind: Literal["params"] = "params"
    values: dict[str, str]

    @property
    def title(self) -> str:
        return f"{len(self.values)} settings"


class Tags(_Piece):
    """Facts that may change until the run has ended."""

    kind: Literal["tags"] = "tags"
    values: dict[str, str]

    @property
    def title(self) -> str:
        return f"{len(self.values)} tags"


class Measurement(_Piece):
    """One number."""

    name: str
    value: float
    step: int = 0


class Metrics(_Piece):
    """Numbers, of the end or of epochs."""

    kind: Literal["metrics"] = "metrics"
    values: tuple[Measurement, ...]
    time_ms: int
    is_curve: bool = False
    """Whether a step is one point of a curve, which is left out where the server has it."""

    @property
    def title(self) -> str:
        return f"{len(self.values)} metrics"


class Data(_Piece):
    """What one split was read from."""

    kind: Literal["data"] = "data"
    name: str
    version: str
    split: str
    digest: str
    examples: int

    @property
    def title(self) -> str:
        return f"data of {self.split}"


class Artifact(_Piece):
    """A file, or a directory with all that is in it."""

    kind: Literal["artifact"] = "artifact"
    path: str
    to: str = ""
    """Directory of the run's artifacts that it is put in; empty for the top."""

    @property
    def title(self) -> str:
        return PurePath(self.path).name


class PushedModel(_Piece):
    """A version of the registered model."""

    kind: Literal["model"] = "model"
    source: str
    """Directory or URI of the pushed model."""

    version: str
    """Name of the pushed version: its number."""

    alias: Literal["champion", "challenger"] | None
    """What it is from now on; None where nobody serves it."""

    tags: dict[str, str]

    @property
    def title(self) -> str:
        return f"model version {self.version}"


class Resumption(_Piece):
    """The run goes on, whatever was told of an end of it."""

    kind: Literal["resumption"] = "resumption"

    @property
    def title(self) -> str:
        return "that the run goes on"


class End(_Piece):
    """How the run ended."""

    kind: Literal["end"] = "end"
    status: Literal["FINISHED", "FAILED", "KILLED"]
    time_ms: int

    @property
    def title(self) -> str:
        return "the end of the run"


Item = Annotated[
    Params | Tags | Metrics | Data | Artifact | PushedModel | Resumption | End, Field(discriminator="kind")
]

ITEM: Final[TypeAdapter[Item]] = TypeAdapter(Item)
"""Reads and writes an item as JSON."""


class Beginning(_Piece):
    """How a run is found on the server, or made there."""

    run_id: str
    """Its id here, by which it is found."""

    started_ms: int
