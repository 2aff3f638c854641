"""Which execution of which run made and used which artifact, as ML Metadata tells it; numbers and names alone."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Execution:
    """One component in one run."""

    number: int
    """Counts up with time, whatever the clock says."""

    run: str
    """Id of the run; empty where none is known."""

    pipeline: str
    node: str
    is_success: bool
    is_cached: bool
    """Whether it took what an earlier one had made."""

    inputs: frozenset[int] = frozenset()
    """Numbers of artifacts, as `outputs`."""

    outputs: frozenset[int] = frozenset()


@dataclass(frozen=True)
class KnownContext:
    """A run as ML Metadata knows it."""

    number: int
    """Counts up with time, whatever the clock says."""

    pipeline: str
    begun_ms: int
    """Since 1970."""


@dataclass(frozen=True)
class Lineage:
    """All executions and artifacts of a root."""

    executions: Mapping[int, Execution] = field(default_factory=dict)
    artifacts: Mapping[int, str] = field(default_factory=dict)
    """Number to URI."""

    runs: Mapping[str, KnownContext] = field(default_factory=dict)

    @cached_property
    def by_run(self) -> Mapping[str, list[Execution]]:
        """The executions of each run, in order."""
        found: dict[str, list[Execution]] = defaultdict(list)
        for number in sorted(self.executions):
            found[self.executions[number].run].append(self.executions[number])
        return found

    @cached_property
    def makers(self) -> Mapping[int, Execution]:
        """Which execution made an artifact; one that took it from the cache did not."""
        return {
            artifact: execution
            for number, execution in sorted(self.executions.items())
            if not execution.is_cached
            for artifact in execution.outputs
        }

    def with_origins(self, executions: Iterable[Execution]) -> set[int]:
        """Returns the numbers of executions, and of all that made what they used or took from the cache, and so on."""
        found: set[int] = set()
        pending = list(executions)
        while pending:
            execution = pending.pop()
            if execution.number in found:
                continue
            found.add(execution.number)
            pending += [self.makers[number] for number in execution.inputs | execution.outputs if number in self.makers]
        return found

    def artifacts_of(self, executions: Collection[int]) -> set[int]:
        """Returns the numbers of all artifacts that executions used or have as outputs."""
        return {
            artifact
            for number in executions
            for artifact in self.executions[number].inputs | self.executions[number].outputs
        }

    def newest_successes(self, pipeline: str, nodes: Collection[str]) -> dict[str, Execution]:
        """Returns the newest execution of each component that did not fail: what the next run may take from the cache.

        Args:
          pipeline: Whose.
          nodes: The components of its present graph; empty: all that ever were.
        """
        newest: dict[str, Execution] = {}
        for _, execution in sorted(self.executions.items()):
            if execution.pipeline == pipeline and execution.is_success and (not nodes or execution.node in nodes):
                newest[execution.node] = execution
        return newest
