"""What the task details of a workflow say of each component."""

from datetime import UTC, datetime

import pytest
from fake_workflow import NEVER, driver_pod, executor_pod, task_details
from kfp_server_api import models

from pipeline.kubeflow.tasks import failed_driver, run_state, task_statuses, time_or_none
from pipeline.runs.record import NodeState, RunState

CHAIN = ["TfdsExampleGenDriver", "TfdsExampleGen", "Trainer", "Pusher"]
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def statuses(states, **options):
    details = models.V2beta1RunDetails(task_details=task_details(states, since=SINCE, **options))
    return task_statuses(models.V2beta1Run(run_details=details), CHAIN)


def test_a_run_without_details_has_only_pending_components():
    for run in (models.V2beta1Run(), models.V2beta1Run(run_details=models.V2beta1RunDetails())):
        assert {status.state for status in task_statuses(run, CHAIN).values()} == {NodeState.PENDING}


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        ("PENDING", NodeState.PENDING),
        ("RUNNING", NodeState.RUNNING),
        ("CANCELING", NodeState.RUNNING),
        ("SUCCEEDED", NodeState.COMPLETE),
        ("CACHED", NodeState.CACHED),
        ("SKIPPED", NodeState.SKIPPED),
        ("FAILED", NodeState.FAILED),
        ("DRIVER_FAILED", NodeState.FAILED),
        ("CANCELED", NodeState.INTERRUPTED),
        ("RUNTIME_STATE_UNSPECIFIED", NodeState.PENDING),
        ("A_LATER_STATE", NodeState.PENDING),
    ],
)
def test_states(reported, state):
    assert statuses({"TfdsExampleGenDriver": "SUCCEEDED", "TfdsExampleGen": reported})["TfdsExampleGen"].state is state


def test_our_component_that_is_called_driver_is_not_the_driver_of_another():
    found = statuses({"TfdsExampleGenDriver": "FAILED", "TfdsExampleGen": "RUNNING"})
    assert found["TfdsExampleGenDriver"].state is NodeState.FAILED
    assert found["TfdsExampleGen"].state is NodeState.RUNNING


def test_times_are_of_the_component():
    found = statuses({"TfdsExampleGenDriver": "SUCCEEDED", "TfdsExampleGen": "RUNNING"})
    now = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert found["TfdsExampleGenDriver"].seconds(now) == 30
    assert found["TfdsExampleGen"].seconds(now) == 4 * 60
    assert found["TfdsExampleGen"].seconds(datetime(2025, 1, 1, tzinfo=UTC)) == 0
    assert found["Trainer"].seconds(now) is None


def test_pods_are_those_that_work():
    found = statuses({"TfdsExampleGenDriver": "SUCCEEDED", "TfdsExampleGen": "CACHED", "Trainer": "DRIVER_FAILED"})
    assert found["TfdsExampleGenDriver"].pods == (executor_pod(1),)
    assert found["TfdsExampleGen"].pods == ()
    assert found["Trainer"].pods == (driver_pod(3),)


def test_each_attempt_has_a_pod_the_latest_last():
    attempts = {"Trainer": ["FAILED"] * 11 + ["RUNNING"]}
    found = statuses({"A": "SUCCEEDED", "B": "SUCCEEDED", "Trainer": "RUNNING"}, attempts=attempts)
    assert found["Trainer"].state is NodeState.RUNNING
    assert found["Trainer"].pods == tuple(executor_pod(3, number) for number in range(12))


def test_the_error_is_the_newest_that_the_server_has():
    details = task_details({"Trainer": "FAILED"})
    trainer = next(detail for detail in details if detail.display_name == "Trainer")
    trainer.state_history = [
        models.V2beta1RuntimeStatus(state="FAILED", error=models.GoogleRpcStatus(message=message))
        for message in ("first", "second")
    ]
    run = models.V2beta1Run(run_details=models.V2beta1RunDetails(task_details=details))
    assert task_statuses(run, CHAIN)["Trainer"].error == "second"
    trainer.error = models.GoogleRpcStatus(message="out of memory")
    assert task_statuses(run, CHAIN)["Trainer"].error == "out of memory"


def test_a_server_that_does_not_tell_pods():
    details = task_details({"Trainer": "FAILED"})
    for detail in details:
        detail.pod_name = None
    run = models.V2beta1Run(run_details=models.V2beta1RunDetails(task_details=details))
    assert task_statuses(run, CHAIN)["Trainer"].state is NodeState.FAILED
    assert task_statuses(run, CHAIN)["Trainer"].pods == ()


def test_the_driver_of_the_whole_run_may_fail():
    details = task_details({})
    details[1].state = "FAILED"
    run = models.V2beta1Run(run_details=models.V2beta1RunDetails(task_details=details))
    assert failed_driver(run) == details[1].pod_name
    assert failed_driver(models.V2beta1Run()) is None


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        (None, RunState.RUNNING),
        ("PENDING", RunState.RUNNING),
        ("PAUSED", RunState.RUNNING),
        ("CANCELING", RunState.RUNNING),
        ("SUCCEEDED", RunState.COMPLETE),
        ("FAILED", RunState.FAILED),
        ("CANCELED", RunState.INTERRUPTED),
    ],
)
def test_states_of_runs(reported, state):
    assert run_state(models.V2beta1Run(state=reported)) is state


def test_times_that_are_not_known():
    assert time_or_none(None) is None
    assert time_or_none(NEVER) is None
    assert time_or_none(datetime(1970, 1, 1)) is None
    assert time_or_none(SINCE) == SINCE
