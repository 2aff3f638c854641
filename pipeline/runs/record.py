"""The record of one run: what ran, on what data and with what, how good it became, and what was pushed.

It is what `petseg runs` lists, what `petseg run --json` prints, and the file `runs/<run id>/run.json`.
"""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from components.days import day_text
from components.model_evaluator.gate import BoundResult, Comparison
from components.retraining_decider.decision import Decision
from pipeline.code_digest import code_digest, installed_version
from pipeline.config.schema import Config
from pipeline.nodes import code_modules
from trainer_module.errors import PetsegError
from trainer_module.features import REFERENCE_SPLIT

RECORD_VARIABLE: Final = "PETSEG_RUN_RECORD"
"""Environment variable of the components that names the file of the run's record, where a session keeps one."""

_PACKAGES: Final = ("petseg", "tfx", "tensorflow", "keras", "tensorflow-transform", "tensorflow-model-analysis")
_CPU_DESCRIPTION: Final = Path("/proc/cpuinfo")


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class NodeState(StrEnum):
    """Where a component of a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class DatasetRecord(_Record):
    """The data that the run read."""

    name: str
    version: str
    splits: dict[str, int]
    """Number of examples of each split."""

    digests: dict[str, str] = {}
    """Of what was read for each split; empty in the records of earlier versions."""

    class_pixels: dict[str, list[int]] = {}
    """Pixels of each class in the masks of each split, as they were read; empty in the records of earlier versions."""

    not_labelled_pixels: dict[str, int] = {}
    """Pixels of each split that are of no class, likewise."""

    date_ranges: dict[str, tuple[int, int]] = {}
    """First and last day of the examples of each split, in days since 1970-01-01; empty where they have none."""

    @property
    def not_labelled_shares(self) -> dict[str, float]:
        """Share of the pixels of each split that are of no class; empty where all are labelled."""
        if not any(self.not_labelled_pixels.values()):
            return {}
        return {
            split: count / (count + sum(self.class_pixels[split])) for split, count in self.not_labelled_pixels.items()
        }

    @property
    def counts_text(self) -> str:
        """Number of examples of each split: `34 train, 4 eval`."""
        return ", ".join(f"{count:,} {split}" for split, count in self.splits.items())

    @property
    def summary(self) -> str:
        """What was read, in one line: `tiles 1.1.0: 34 train, 4 eval; of 2026-09-01 to 2026-11-29`."""
        days = {split: " to ".join(map(day_text, sorted({*of_split}))) for split, of_split in self.date_ranges.items()}
        if len({*days.values()}) == 1:
            days = {"": next(iter(days.values()))}
        of_days = ", ".join(f"{split} of {of_split}".strip() for split, of_split in days.items())
        return f"{self.name} {self.version}: {self.counts_text}{f'; {of_days}' if days else ''}"

    def absent_classes(self, class_names: Sequence[str]) -> dict[str, list[str]]:
        """Returns the splits that have no pixel of a class, by the class's name; only classes that a split lacks."""
        absent = {
            name: [split for split, pixels in self.class_pixels.items() if not pixels[class_id]]
            for class_id, name in enumerate(class_names)
        }
        return {name: splits for name, splits in absent.items() if splits}


class NodeRecord(_Record):
    """One component of the run, in the order of the graph."""

    id: str
    state: NodeState = NodeState.PENDING
    seconds: float | None = None
    summary: str = ""
    """One line on what it produced."""

    outputs: dict[str, str] = {}
    """Output name to where its first artifact is; of a cached component, where the earlier run left it."""


class EnvironmentRecord(_Record):
    """What a run ran with: code, packages and machine."""

    code_digest: str
    """Of all code of petseg that a component depends on."""

    versions: dict[str, str]
    """Python, petseg and the packages that results depend on most."""

    cpu: str
    cores: int
    """Processors that the process may use."""

    memory_gib: float
    gpus: list[str] = []
    """Names of the GPUs that TensorFlow sees."""


class EvaluatedReference(_Record):
    """The evaluation on the frozen reference set."""

    dataset: str = ""
    """Data set, version and slice."""

    split: str = REFERENCE_SPLIT
    examples: int = 0
    metrics: dict[str, float | None] = {}
    """None where a metric is undefined."""

    thresholds: list[BoundResult] = []
    comparison: Comparison | None = None
    """How the model stands to the served one on it, in a retraining."""

    blessed: bool | None = None
    """Whether the model keeps every bound on it, and is not worse than the served one; None where nothing counts."""

    force_blessed: str | None = None
    """Why the model was pushed although it does not; None when the gate was obeyed."""


class BaselineRecord(_Record):
    """The served model that the new one was compared with, or why there was none."""

    found: bool
    version: str | None
    """Name of the newest served version; None when nothing is served."""

    path: str | None
    reason: str | None
    """Why it was not compared with; None when it was."""


class DriftRecord(_Record):
    """How far the data is from what the served model was trained on, or why that is not known."""

    model: str | None
    """Directory of the model; None when nothing is served."""

    reason: str | None
    """Why nothing was compared; None when it was."""

    distances: dict[str, float] = {}
    """Quantity to its Jensen–Shannon distance, 0…1."""

    drifted: list[str] = []
    """The quantities beyond their bounds, the farthest first."""


class ProbeRecord(_Record):
    """What serving the model costs, and why it may not be served."""

    refusals: list[str] = []
    """Empty where the probe let the model pass."""

    measurements: dict[str, float | None] = {}
    """Load time, latency, memory and difference to the training's way, by `components.model_probe.findings`."""

    @property
    def passed(self) -> bool:
        return not self.refusals


class RunRecord(_Record):
    """Everything worth keeping of a run, filled while it goes on."""

    run_id: str
    pipeline: str
    preset: str | None
    state: RunState = RunState.RUNNING
    started: datetime
    seconds: float = 0.0
    decision: Decision | None = None
    """Whether there was a reason to train, and which; None of a run that was not asked to decide."""

    dataset: DatasetRecord | None = None
    findings: dict[str, int] = {}
    """Kind of what is wrong with the data (`components.segmentation_validator.kinds`) to its number."""

    dropped_examples: int = 0
    """Those that were left out for it; `dataset` is what is left."""

    nodes: list[NodeRecord] = []
    parameters: int | None = None
    """Trained and untrained parameters of the network."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """The resolved configuration."""

    metrics: dict[str, float | None] = {}
    """Of the evaluated split; None where a metric is undefined, as the IoU of a class that does not occur."""

    served_metrics: dict[str, float | None] = {}
    """Those of the served model, on the same data; empty where there was none to compare with."""

    slices: list[dict[str, Any]] = []
    distributions: dict[str, list[Any]] = {}
    """Of the evaluated split: confusion matrix, bins of the calibration, histogram of the mean IoU of single images."""

    thresholds: list[BoundResult] = []
    blessed: bool | None = None
    """Whether the model passed every threshold that decides, and `comparison`, on the evaluated split and on the
    reference set; None when nothing was evaluated."""

    force_blessed: str | None = None
    """Why the model was pushed although it did not pass; None when the gate was obeyed."""

    reference: EvaluatedReference | None = None
    """None where there is no reference set."""

    baseline: BaselineRecord | None = None
    comparison: Comparison | None = None
    """Whether the model is better than the served one; None where it need not be, as in runs started by hand."""

    drift: DriftRecord | None = None
    """None where nothing was to be compared, as in the records of earlier versions."""

    probe: ProbeRecord | None = None
    """None where no model was probed."""

    pushed_model: str | None = None
    """Directory of the pushed model version; None when nothing was pushed."""

    not_pushed: str | None = None
    """Why a model that was trained was not pushed; None where it was, or is what is served already."""

    deployed_model: str | None = None
    """What KServe serves since, in words; None when nothing was deployed."""

    is_canary: bool = False
    """Whether it was deployed as a canary, beside the model that was served before."""

    environment: EnvironmentRecord | None = None
    """None for a run that ended before it was known, or that ran elsewhere."""

    report: str | None = None
    """The report's HTML file; None when none was written at the end of the run."""

    model_card: str | None = None
    """Where the model card is, of a run on a server; None where it lies beside the model alone."""

    tracking: str | None = None
    """The run's page on the MLflow server; None where no server heard of it in time."""

    cleaned: datetime | None = None
    """When what its components left was removed, but for what other runs need; None while it is there."""

    log: str
    error: str | None = None

    @model_validator(mode="after")
    def _is_judged_on_reference(self) -> Self:
        """Keeps the verdict that of both evaluations, in whatever order they are known."""
        reference = self.reference
        if reference is not None and reference.blessed is False:
            self.__dict__["blessed"] = False
        if reference is not None and reference.force_blessed and self.force_blessed is None:
            self.__dict__["force_blessed"] = reference.force_blessed
        return self

    @classmethod
    def begin(cls, run_id: str, config: Config, log: Path) -> "RunRecord":
        """Returns the record of a run that starts now."""
        return cls(
            run_id=run_id,
            pipeline=config.pipeline.name,
            preset=config.preset,
            started=datetime.now(UTC),
            settings=config.model_dump(mode="json"),
            log=str(log),
        )

    @property
    def refused(self) -> bool:
        """Whether the gate or the probe kept the model from being pushed; force overrules only the gate."""
        by_gate = self.blessed is False and self.force_blessed is None
        return by_gate or (self.probe is not None and not self.probe.passed)

    def node(self, node_id: str) -> NodeRecord:
        """Returns the record of one component.

        Raises:
          KeyError: The run has no such component.
        """
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)

    def running_node(self) -> NodeRecord | None:
        """Returns the component that runs now, if any."""
        return next((node for node in self.nodes if node.state is NodeState.RUNNING), None)

    def finish(self, state: RunState, error: str | None = None) -> None:
        """Ends the run; the component that was running shares its state."""
        self.state, self.error = state, error
        node = self.running_node()
        if node is not None and state is not RunState.COMPLETE:
            node.state = NodeState(state.value)

    def save(self, file: Path) -> None:
        """Writes the record; whoever reads at the same time sees the old or the new one, whole."""
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        temporary.replace(file)

    @classmethod
    def load(cls, file: Path) -> "RunRecord":
        """Reads a record.

        Raises:
          PetsegError: The file is absent or holds no record of this version of petseg.
        """
        try:
            return cls.model_validate_json(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise PetsegError(f"cannot read the run record {str(file)!r}: {error.strerror}") from error
        except (ValidationError, UnicodeDecodeError) as error:
            raise PetsegError(f"{str(file)!r} is no run record of this version of petseg: {error}") from error


def run_environment() -> EnvironmentRecord:
    """Returns what this process runs with; imports TensorFlow, which alone knows the GPUs it can use."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return EnvironmentRecord(
        code_digest=code_digest("pipeline.graph", *code_modules()),
        versions={"python": platform.python_version(), **{name: installed_version(name) for name in _PACKAGES}},
        cpu=cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory / 2**30, 1),
        gpus=[tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus],
    )


def cpu_name() -> str:
    """Returns the model of the processor; where Linux does not tell it, the architecture."""
    for line in _CPU_DESCRIPTION.read_text(encoding="utf-8").splitlines() if _CPU_DESCRIPTION.is_file() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()
