"""What the task details of a workflow say of each component."""

from datetime import UTC, datetime

import pytest
from fake_kubeflow_messages import read_model
from fake_workflow import NEVER, driver_node, executor_node, root_driver_node, task_details
from kfp_server_api import models
from recordings import recorded

from pipeline.kubeflow.tasks import ROOT_DRIVER, RunTasks, run_state, time_or_none
from pipeline.runs.record import NodeState, RunState

CHAIN = ["TfdsExampleGenDriver", "TfdsExampleGen", "Trainer", "Pusher"]
SINCE = datetime(2026, 1, 1, tzinfo=UTC)

DEMO = [
    "ImportSchema", "TfdsExampleGenDriver", "TfdsExampleGen", "StatisticsGen", "Transform", "ExampleValidator",
    "Trainer", "ServedModelResolver", "ModelProbe", "Evaluator", "Pusher",
]  # fmt: skip

DECIDING = {"RetrainingDecider": ()} | dict.fromkeys(DEMO, ("Retraining",))
"""The DAGs that lead to each component where the run decides first whether to train."""


def real_run(name):
    return read_model(recorded(name), "V2beta1Run")


def run_of(details):
    return models.V2beta1Run(run_details=models.V2beta1RunDetails(task_details=details))


def tasks(states, **options):
    return RunTasks(run_of(task_details(states, since=SINCE, **options)))


def statuses(states, **options):
    found = tasks(states, **options)
    return {task_id: found.status(task_id) for task_id in CHAIN}


def test_a_run_without_details_has_only_pending_components():
    for run in (models.V2beta1Run(), models.V2beta1Run(run_details=models.V2beta1RunDetails())):
        found = RunTasks(run)
        assert {found.status(task_id).state for task_id in CHAIN} == {NodeState.PENDING}
        assert (found.workflow, found.failed_driver, found.root_driver_pods) == ("", None, ())


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
    states = {"TfdsExampleGenDriver": "SUCCEEDED", "TfdsExampleGen": "CACHED", "Trainer": "DRIVER_FAILED"}
    found = tasks(states)
    assert found.status("TfdsExampleGenDriver").pods == (executor_node("TfdsExampleGenDriver"),)
    assert found.status("TfdsExampleGen").pods == ()
    assert found.status("Trainer").pods == found.driver_pods("Trainer") == (driver_node("Trainer"),)
    assert found.root_driver_pods == (root_driver_node(),)


@pytest.mark.parametrize("is_installed_2_17", [False, True])
def test_each_attempt_has_a_pod_the_latest_last(is_installed_2_17):
    attempts = {"Trainer": ["FAILED"] * 11 + ["RUNNING"]}
    states = {"A": "SUCCEEDED", "B": "SUCCEEDED", "Trainer": "RUNNING"}
    found = statuses(states, attempts=attempts, is_installed_2_17=is_installed_2_17)["Trainer"]
    assert found.state is NodeState.RUNNING
    assert len(found.pods) == 12
    if is_installed_2_17:
        assert found.pods == tuple(executor_node("Trainer", number) for number in range(12))


def test_the_error_is_the_newest_that_the_server_has():
    details = task_details({"Trainer": "FAILED"})
    trainer = next(detail for detail in details if detail.display_name == "Trainer")
    trainer.state_history = [
        models.V2beta1RuntimeStatus(state="FAILED", error=models.GoogleRpcStatus(message=message))
        for message in ("first", "second")
    ]
    assert RunTasks(run_of(details)).status("Trainer").error == "second"
    trainer.error = models.GoogleRpcStatus(message="out of memory")
    assert RunTasks(run_of(details)).status("Trainer").error == "out of memory"


def test_a_node_without_children_has_no_pods_yet():
    details = task_details({"Trainer": "RUNNING"})
    for detail in details:
        detail.child_tasks = None
    found = RunTasks(run_of(details)).status("Trainer")
    assert (found.state, found.pods) == (NodeState.RUNNING, ())


@pytest.mark.parametrize("is_installed_2_17", [False, True])
def test_drivers_may_fail(is_installed_2_17):
    assert tasks({}, root_driver="FAILED", is_installed_2_17=is_installed_2_17).failed_driver == ROOT_DRIVER
    assert tasks({"Trainer": "DRIVER_FAILED"}, is_installed_2_17=is_installed_2_17).failed_driver == "Trainer"
    assert tasks({"Trainer": "FAILED"}, is_installed_2_17=is_installed_2_17).failed_driver is None
    assert tasks({"Trainer": "DRIVER_FAILED"}).driver_state("Trainer-driver") is NodeState.FAILED
    assert tasks({}).driver_state("Trainer-driver") is NodeState.PENDING


def test_pods_that_wait_for_a_place():
    assert tasks({"Trainer": "WAITING"}).has_waiting_pods
    assert not tasks({"Trainer": "RUNNING"}).has_waiting_pods


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


class TestInnerDag:
    """Components in a task that is a DAG."""

    DAGS = dict.fromkeys(("Trainer", "Pusher"), ("Retraining",)) | {"RetrainingDecider": ()}

    def found(self, states, **options):
        return RunTasks(run_of(task_details(states, since=SINCE, **options)), self.DAGS)

    @pytest.mark.parametrize("is_installed_2_17", [False, True])
    def test_they_stand_where_they_stand(self, is_installed_2_17):
        states = {"RetrainingDecider": "SUCCEEDED", "Retraining": {"Trainer": "RUNNING"}}
        found = self.found(states, is_installed_2_17=is_installed_2_17)
        assert found.status("RetrainingDecider").state is NodeState.COMPLETE
        assert found.status("Trainer").state is NodeState.RUNNING
        assert found.status("Pusher").state is NodeState.PENDING
        assert len(found.status("Trainer").pods) == len(found.driver_pods("Trainer")) == 1
        assert len(found.driver_pods("Retraining")) == 1
        if is_installed_2_17:
            assert found.status("Trainer").pods == (executor_node("Trainer", 0, "Retraining"),)
            assert found.driver_pods("Trainer") == (driver_node("Trainer", "Retraining"),)
            assert found.driver_pods("Retraining") == (driver_node("Retraining"),)

    def test_they_are_skipped_with_it(self):
        found = self.found({"RetrainingDecider": "SUCCEEDED", "Retraining": {}})
        assert {found.status(task_id).state for task_id in ("Trainer", "Pusher")} == {NodeState.SKIPPED}
        assert found.status("RetrainingDecider").state is NodeState.COMPLETE

    def test_it_is_none_itself_and_has_a_driver(self):
        found = self.found({"Retraining": "DRIVER_FAILED"})
        assert found.failed_driver == "Retraining"
        assert found.is_dag("Retraining")
        assert not found.is_dag("Trainer")


class TestRecorded:
    """What real servers answered."""

    def test_a_run_that_is_done(self):
        run = real_run("run_done")
        for task_id in DEMO:
            status = RunTasks(run).status(task_id)
            assert (status.state, len(status.pods)) == (NodeState.COMPLETE, 1), task_id
        assert RunTasks(run).status("Trainer").pods == ("petseg-demo-sw75m-607877108",)
        assert RunTasks(run).driver_pods("Trainer") == ("petseg-demo-sw75m-4193214515",)
        assert RunTasks(run).status("Trainer").seconds(SINCE) == 124

    def test_a_run_that_takes_results_from_the_cache(self):
        found = {task_id: RunTasks(real_run("run_cached")).status(task_id) for task_id in DEMO}
        worked = {"TfdsExampleGenDriver", "ServedModelResolver", "Evaluator", "Pusher"}
        assert {task_id for task_id, status in found.items() if status.state is NodeState.COMPLETE} == worked
        cached = [status for task_id, status in found.items() if task_id not in worked]
        assert {(status.state, status.pods, status.seconds(SINCE)) for status in cached} == {
            (NodeState.CACHED, (), None)
        }

    @pytest.mark.parametrize("name", ["run_in_progress", "run_retried_in_progress"])
    def test_a_run_that_goes_on(self, name):
        tasks = RunTasks(real_run(name))
        states = {task_id: tasks.status(task_id).state for task_id in DEMO}
        assert states["TfdsExampleGen"] is NodeState.COMPLETE
        assert states["Evaluator"] is NodeState.PENDING
        [running, *_] = [task_id for task_id, state in states.items() if state is NodeState.RUNNING]
        assert len(tasks.status(running).pods) == len(tasks.root_driver_pods) == 1

    def test_a_run_whose_driver_failed(self):
        run = real_run("run_retried_root_driver_failed")
        assert RunTasks(run).failed_driver == ROOT_DRIVER
        assert RunTasks(run).root_driver_pods == ("petseg-test-de211c6a-cnt4z-7771305",)
        assert run_state(run) is RunState.FAILED

    def test_a_run_that_was_cancelled(self):
        run = real_run("run_retried_cancelled")
        assert run.state == "FAILED"
        assert run_state(run) is RunState.INTERRUPTED

    def test_a_run_that_decided_to_train(self):
        tasks = RunTasks(real_run("run_decided_in_progress"), DECIDING)
        assert tasks.status("RetrainingDecider").seconds(SINCE) == 176
        assert tasks.status("RetrainingDecider").pods == ("petseg-retrain-ds4dn-780120319",)
        driver = tasks.status("TfdsExampleGenDriver")
        assert (driver.state, len(driver.pods)) == (NodeState.RUNNING, 1)
        assert tasks.driver_pods("TfdsExampleGenDriver") == ("petseg-retrain-ds4dn-677305822",)
        assert tasks.status("Trainer").state is NodeState.PENDING
        assert len(tasks.driver_pods("Retraining")) == len(tasks.root_driver_pods) == 1
        assert tasks.failed_driver is None

    def test_a_run_that_decided_against_it(self):
        run = real_run("run_decided_against")
        tasks = RunTasks(run, DECIDING)
        assert run_state(run) is RunState.COMPLETE
        assert tasks.status("RetrainingDecider").state is NodeState.COMPLETE
        assert {tasks.status(task_id).state for task_id in DECIDING if DECIDING[task_id]} == {NodeState.SKIPPED}
