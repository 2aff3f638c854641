"""An InferenceService as a record, and as tables for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Group, RenderableType
from rich.text import Text

from components.kserve_deployer.cluster import Object
from components.kserve_deployer.rollout import describe
from components.kserve_deployer.rollout_state import RolloutState
from components.kserve_deployer.service_status import (
    Condition,
    Pod,
    Share,
    canary_shares,
    conditions,
    failure,
    is_ready,
    knative_traffic,
    pod,
    transition,
    url,
)
from pipeline.tables import PlainTable


@dataclass(frozen=True)
class ServiceRecord:
    """What is known of an InferenceService."""

    name: str
    namespace: str
    url: str
    ready: bool
    state: RolloutState
    transition: str
    failure: str | None
    traffic: tuple[Share, ...]
    conditions: tuple[Condition, ...]
    pods: tuple[Pod, ...]

    @classmethod
    def of(cls, service: Object, state: RolloutState, pods: Sequence[Object]) -> Self:
        """Returns the record of an InferenceService and its pods, as the API sends them."""
        canaries = [Share(name, percent, True) for name, (percent, _) in canary_shares(service).items()]
        return cls(
            name=service["metadata"]["name"],
            namespace=service["metadata"]["namespace"],
            url=url(service),
            ready=is_ready(service),
            state=state,
            transition=transition(service),
            failure=failure(service),
            traffic=(*knative_traffic(service), *canaries),
            conditions=tuple(conditions(service)),
            pods=tuple(pod(each) for each in pods),
        )


def service_tables(record: ServiceRecord) -> RenderableType:
    """Returns the record for people: a line each for what it serves and where, then tables."""
    readiness = Text("ready", "green") if record.ready else Text("not ready", "red")
    parts: list[RenderableType] = [
        Text.assemble(f"{record.namespace}/{record.name}: ", readiness),
        Text(describe(record.state)),
        Text(record.url or "no URL yet", overflow="fold"),
    ]
    if record.failure is not None:
        parts.append(Text(record.failure, "red", overflow="fold"))
    elif record.transition:
        parts.append(Text(f"model: {record.transition}"))
    for rows, columns in (
        ([(share.target, f"{share.percent} %") for share in record.traffic], ("revision", "traffic")),
        (
            [
                (each.type, each.status, ": ".join(filter(None, (each.reason, each.message))))
                for each in record.conditions
            ],
            ("condition", "status", "reason"),
        ),
        ([_pod_row(each) for each in record.pods], ("pod", "version", "phase", "ready", "restarts", "trouble")),
    ):
        if rows:
            parts += [Text(), _table(columns, rows)]
    return Group(*parts)


def _pod_row(pod: Pod) -> tuple[str, ...]:
    ready = "yes" if pod.is_ready else "no"
    return pod.name, pod.version, pod.phase, ready, str(pod.restarts), "; ".join(pod.troubles)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> PlainTable:
    table = PlainTable()
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
