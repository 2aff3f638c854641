"""What the pods count of other people's requests, where TensorFlow Serving exports its metrics.

It does where it is started with `--monitoring_config_file`, as KServe's own runtime is not. The counter and its labels
are those of `RecordModelRequestCount` (tensorflow_serving/servables/tensorflow/util.cc), written by
tensorflow_serving/util/prometheus_exporter.cc, both of https://github.com/tensorflow/serving. Its histograms of times
have buckets of which each ends at 1.8 times the end of the one before: too coarse to compare.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from components.kserve_deployer.canary.probes import Tally, port_of
from components.kserve_deployer.canary.verdict import Requests
from components.kserve_deployer.cluster import Cluster
from components.kubernetes_api import Object

_PATH: Final = "/monitoring/prometheus/metrics"
_SECONDS: Final = 10.0
_COUNTER: Final = re.compile(r"^:tensorflow:serving:request_count\{(.*)\} (\d+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_NONE: Final = (0, 0)
_OK: Final = 200


class TrafficCounts:
    """Adds up what the pods of both versions have counted since it was made."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._last: dict[str, tuple[int, int]] = {}
        self._sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        self._counting: set[int] = set()
        self._there_before: set[str] | None = None

    def read(self, pods: tuple[Sequence[Object], Sequence[Object]]) -> None:
        """Reads the counters of all pods; what a pod had counted before the first call is left out.

        Args:
          pods: Of the stable version and of the canary.

        Raises:
          ClusterError: The cluster cannot be asked, or the account may not ask its pods.
        """
        if self._there_before is None:
            self._there_before = {each["metadata"]["name"] for of_version in pods for each in of_version}
        for place, of_version in enumerate(pods):
            for each in of_version:
                self._read(place, each)

    def without(self, tally: Tally) -> tuple[Requests, Requests] | None:
        """Returns what was counted beside the requests of a tally; None unless pods of both versions count."""
        if self._counting != {0, 1}:
            return None
        stable, canary = (
            Requests(max(0, sent - tally.answered[place]), max(0, failed - tally.failed_there[place]))
            for place, (sent, failed) in sorted(self._sums.items())
        )
        return stable, canary

    def _read(self, place: int, pod: Object) -> None:
        name = pod["metadata"]["name"]
        answer = self._cluster.ask_pod(name, port_of(pod), _PATH, None, _SECONDS)
        if answer.status != _OK:
            return
        self._counting.add(place)
        counted = _count(answer.text, self._cluster.access.name)
        before = self._last.get(name, counted if name in (self._there_before or ()) else _NONE)
        if counted[0] < before[0]:  # its server began anew
            before = _NONE
        self._last[name] = counted
        for index in (0, 1):
            self._sums[place][index] += counted[index] - before[index]


def _count(text: str, model: str) -> tuple[int, int]:
    """Returns how many requests to a model a server has answered, and how many not well."""
    by_status: dict[str, int] = defaultdict(int)
    for labels, number in _COUNTER.findall(text):
        named: Mapping[str, str] = dict(_LABEL.findall(labels))
        if named.get("model_name") == model:
            by_status[named.get("status", "")] += int(number)
    return sum(by_status.values()), sum(number for status, number in by_status.items() if status != "OK")
