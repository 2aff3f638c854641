"""The fake server, asked what a real Kubeflow Pipelines 2.17.0 was asked, answers as that did."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from fake_kubeflow_api import FakeKubeflowApi
from fake_kubeflow_messages import read_model
from kfp_server_api import models
from recordings import recorded
from schedule_commands import make_package

CONVERSATION = recorded("api_conversation")
ANSWERED = [entry for entry in CONVERSATION if entry["status"] is not None]
CREATED_IDS = {"upload_version": "pipeline_version_id", "runs": "run_id", "recurringruns": "recurring_run_id"}
_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TEXT_OF_A_LIBRARY = re.compile(r"(?<=Invalid page token: ).*|(?<=Failed to get file reader).*")


def named(name: str) -> dict[str, Any]:
    return next(entry for entry in CONVERSATION if entry["name"] == name)


def stored(entries: list[dict[str, Any]], model: str, key: str) -> dict[str, Any]:
    return {entry[key]: read_model(entry, model) for entry in entries}


def fill(api: FakeKubeflowApi) -> None:
    """Puts into the store what the real server held at the start."""
    store, package = api.store, make_package()
    store.pipelines = stored(named("list pipelines")["answer"]["pipelines"], "V2beta1Pipeline", "pipeline_id")
    experiments = named("list experiments")["answer"]["experiments"]
    store.experiments = stored(experiments, "V2beta1Experiment", "experiment_id")
    versions = named("list versions")["answer"]["pipeline_versions"]
    store.versions = stored(versions, "V2beta1PipelineVersion", "pipeline_version_id")
    for version in store.versions.values():
        version.pipeline_spec = package.pipeline_spec
    newest_first = named("list runs newest first")["answer"]["runs"]
    older = newest_first[-1] | {"created_at": "2026-11-28T15:07:00Z"}
    unseen = [older | {"run_id": "unseen-1"}, older | {"run_id": "unseen-2"}]
    store.runs = stored(newest_first + unseen, "V2beta1Run", "run_id")
    ids = [entry["answer"][key] for entry in CONVERSATION if (key := created_id(entry))]
    store.new_id = iter(ids).__next__


def created_id(entry: dict[str, Any]) -> str | None:
    """Returns the key of the id that a request made; None where it made nothing."""
    if entry["request"]["method"] != "POST" or entry["status"] != 200:
        return None
    return CREATED_IDS.get(urlsplit(entry["request"]["path"]).path.split("/")[-1])


def move(api: FakeKubeflowApi, entry: dict[str, Any]) -> None:
    """Does to a run that is read next what the cluster had done to it."""
    answer = entry["answer"]
    run = api.store.runs.get(answer.get("run_id"))
    if run is None or entry["request"]["method"] != "GET":
        return
    run.run_details = read_model(answer["run_details"], "V2beta1RunDetails")
    if answer["state"] == "RUNNING":
        api.store.move_run(run, "RUNNING")


def send(api: FakeKubeflowApi, entry: dict[str, Any]) -> urllib3.BaseHTTPResponse:
    request, content = entry["request"], {}
    if isinstance(request["body"], dict):
        content = {"json": request["body"]}
    elif "multipart" in (request["body"] or ""):
        text = "no: pipeline\n" if entry["name"] == "upload pipeline, no pipeline" else make_package().text
        content = {"fields": {"uploadfile": ("package.yaml", text)}}
    elif request["body"]:
        content = {"body": b'{"a":', "headers": {"Content-Type": "application/json"}}
    return urllib3.request(request["method"], api.host + request["path"], retries=False, **content)


@pytest.fixture(scope="module")
def answers() -> list[urllib3.BaseHTTPResponse]:
    """What the fake answers to everything that was asked, in order."""
    received = []
    with FakeKubeflowApi() as api:
        fill(api)
        for entry in ANSWERED:
            move(api, entry)
            received.append(send(api, entry))
    return received


def test_nothing_is_left_out_but_what_the_real_server_did_not_answer():
    assert len(CONVERSATION) == 53
    assert [entry["name"] for entry in CONVERSATION if entry not in ANSWERED] == ["upload pipeline, no yaml"]


@pytest.mark.parametrize("position", range(len(ANSWERED)), ids=[entry["name"] for entry in ANSWERED])
def test_it_answers_as_the_real_server_did(answers, position):
    real, answer = ANSWERED[position], answers[position]
    assert answer.status == real["status"]
    assert answer.headers["Content-Type"] == real["content_type"]
    assert comparable(json.loads(answer.data)) == comparable(real["answer"])


def comparable(value: Any) -> Any:
    """Returns an answer with a word for each time that is known, page token, package and text of a Go library."""
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    if isinstance(value, bool):  # equal to 0 or 1
        return f"<{value}>"
    if isinstance(value, str):
        return _TEXT_OF_A_LIBRARY.sub("<text>", _TIME.sub("<time>", value))
    if not isinstance(value, dict):
        return value
    words = {"next_page_token": "<token>", "pipeline_spec": "<package>"}
    return {key: words.get(key) or comparable(inner) for key, inner in value.items()}


def test_a_page_token_leads_on():
    with FakeKubeflowApi() as api:
        fill(api)
        url, page = f"{api.host}/apis/v2beta1/runs", {"page_size": "3", "sort_by": "created_at desc"}
        first = urllib3.request("GET", url, fields=page).json()
        second = urllib3.request("GET", url, fields=page | {"page_token": first["next_page_token"]}).json()
    ids = [run["run_id"] for page in (first, second) for run in page["runs"]]
    assert (len(ids), len(set(ids)), "next_page_token" in second) == (5, 5, False)


class TestArchivedLogs:
    """The artifact that Argo makes of a pod's log, as a real 2.17.0 was seen to give it."""

    @pytest.fixture
    def path(self, api) -> str:
        api.store.archived_logs["node-1"] = "zwölf\n"
        api.store.runs["run-1"] = models.V2beta1Run(run_id="run-1")
        return f"{api.host}/apis/v2beta1/runs"

    def test_it_is_given_in_base64(self, path):
        answer = urllib3.request("GET", f"{path}/run-1/nodes/node-1/artifacts/main-logs:read")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.json() == {"data": "enfDtmxmCg=="}

    @pytest.mark.parametrize("which", ["run-1/nodes/node-2", "run-2/nodes/node-1"])
    def test_one_that_is_not_there(self, path, which):
        answer = urllib3.request("GET", f"{path}/{which}/artifacts/main-logs:read")
        assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
        not_found = "artifact not found: <nil>"
        assert json.loads(answer.data) == {"error_message": not_found, "error_details": not_found}
