"""What a Flink says of itself and of a job of ours: a small client of its REST API.

The API is that of Flink 1.19 (https://nightlies.apache.org/flink/flink-docs-release-1.19/docs/ops/rest_api/).
"""

import json
import re
import urllib.error
import urllib.request
from collections import Counter
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

_TIMEOUT_SECONDS: Final = 10
_HOST: Final = re.compile(r"@(?P<host>\[[^\]]+\]|[^:/]+)")
"""In the address of a task manager, as `pekko.tcp://flink@10.0.0.7:41009/user/rpc/taskmanager_0`."""

_WAITING: Final = ("CREATED", "SCHEDULED")
"""States of a task that has no slot yet."""

_ENDED: Final = ("FINISHED", "CANCELED", "FAILED")


class FlinkError(Exception):
    """A Flink does not answer, or not as one; the message says how."""


class Slots(NamedTuple):
    """Where tasks can run."""

    task_managers: int
    total: int
    free: int


class FlinkJob(NamedTuple):
    """A job of Flink at one moment."""

    id: str
    state: str
    tasks: dict[str, int]
    """State to the number of tasks in it."""

    has_records: bool
    """Whether a task that needs a worker has begun: a worker has taken records."""

    @property
    def has_ended(self) -> bool:
        return self.state in _ENDED

    @property
    def waits_for_slots(self) -> bool:
        return bool(self.tasks) and all(state in _WAITING for state in self.tasks)


class Flink:
    """A Flink, by the address of its JobManager."""

    def __init__(self, master: str) -> None:
        """Constructs the client.

        Args:
          master: As of `--flink_master`: HOST:PORT, or a URL.
        """
        stripped = master.strip().rstrip("/")
        self.url = stripped if "://" in stripped else f"http://{stripped}"
        # Java, which the job server is, knows nothing of the proxies that this environment names.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def version(self) -> str:
        """Returns its release, as `1.19.3`.

        Raises:
          FlinkError: It does not answer, or is no Flink.
        """
        version = self._get("/config").get("flink-version")
        if not isinstance(version, str):
            raise FlinkError("what answers there is no Flink: it has no 'flink-version' under /config")
        return version

    def worker_hosts(self) -> list[str]:
        """Returns the hosts of its task managers, as it knows them.

        Raises:
          FlinkError: It does not answer.
        """
        paths = [str(each.get("path")) for each in self._task_managers()]
        return sorted({found["host"].strip("[]") for path in paths if (found := _HOST.search(path))})

    def slots(self) -> Slots:
        """Returns what it has to run tasks on.

        Raises:
          FlinkError: It does not answer.
        """
        managers = self._task_managers()
        total, free = (sum(int(each.get(key, 0)) for each in managers) for key in ("slotsNumber", "freeSlots"))
        return Slots(len(managers), total, free)

    def job(self, name: str) -> FlinkJob | None:
        """Returns the latest job of a name; None where there is none.

        Raises:
          FlinkError: It does not answer.
        """
        jobs = [job for job in self._get("/jobs/overview").get("jobs", []) if job.get("name") == name]
        if not jobs:
            return None
        latest = max(jobs, key=lambda job: job.get("start-time", 0))
        return _job(latest["jid"], self._get(f"/jobs/{latest['jid']}"))

    def cancel(self, job_id: str) -> None:
        """Asks it to cancel a job.

        Raises:
          FlinkError: It does not answer, or refuses.
        """
        self._ask("PATCH", f"/jobs/{job_id}")

    def _task_managers(self) -> list[dict[str, Any]]:
        return list(self._get("/taskmanagers").get("taskmanagers", []))

    def _get(self, path: str) -> dict[str, Any]:
        try:
            answer = json.loads(self._ask("GET", path))
        except ValueError as error:
            raise FlinkError("what answers there is no Flink: its answer is no JSON") from error
        if not isinstance(answer, dict):
            raise FlinkError("what answers there is no Flink: its answer is no JSON object")
        return answer

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise FlinkError(f"{method} {path} is answered with HTTP {error.code}") from error
        except urllib.error.URLError as error:
            raise FlinkError(f"it does not answer: {error.reason}") from error
        except (OSError, ValueError) as error:
            raise FlinkError(f"it does not answer: {error}") from error


def _job(job_id: str, details: dict[str, Any]) -> FlinkJob:
    vertices: list[dict[str, Any]] = details.get("vertices", [])
    tasks: Counter[str] = Counter()
    for vertex in vertices:
        tasks.update({state: number for state, number in vertex.get("tasks", {}).items() if number})
    has_records = any(vertex.get("metrics", {}).get("read-records") for vertex in vertices)  # sources read none
    return FlinkJob(job_id, str(details.get("state")), dict(tasks), has_records)
