"""A Flink's REST API in memory; it answers as a real one did (`recorded_flink/README.md`)."""

import copy
import json
from pathlib import Path
from typing import Any

from fake_http_api import Answer, FakeApi, Request

RECORDED = Path(__file__).parent / "recorded_flink"
WITHOUT_WORKERS = "petseg-dea81dbf900b"
"""Name of the recorded job that was canceled."""

FINISHED = "petseg-437dd3ca74e0"


def recorded(name: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{name}.json").read_text())


class FakeFlink(FakeApi):
    """Flink 1.19.3 with one task manager of two slots.

    Attributes:
      jobs: Name of a job to what `GET /jobs/ID` answers.
      task_managers: What `GET /taskmanagers` answers.
      obeys: Whether a job that is to be canceled is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.config = recorded("config")
        self.task_managers = recorded("taskmanagers")
        self.jobs: dict[str, dict[str, Any]] = {}
        self.obeys = True

    @property
    def master(self) -> str:
        """As of `--flink_master`."""
        return self.host.removeprefix("http://")

    def answer(self, request: Request) -> Answer:
        routes: dict[str, Any] = {
            "/config": self.config,
            "/taskmanagers": self.task_managers,
            "/jobs/overview": {"jobs": [*map(self._overview, self.jobs.values())]},
            **{f"/jobs/{job['jid']}": job for job in self.jobs.values()},
        }
        found = routes.get(request.path)
        if found is None:
            return Answer('{"errors": ["Job could not be found."]}', 404)
        if request.method == "PATCH":
            if self.obeys:
                found["state"] = "CANCELED"
            return Answer("{}", 202)
        return Answer(json.dumps(found))

    def has(self, name: str, recording: str, **changes: Any) -> None:
        """Gives it a job, as it was recorded but for the changes."""
        self.jobs[name] = copy.deepcopy(recorded(recording)) | {"name": name, **changes}

    def _overview(self, job: dict[str, Any]) -> dict[str, Any]:
        [like, *_] = recorded("jobs_overview")["jobs"]
        return {key: job.get(key, value) for key, value in like.items()}
