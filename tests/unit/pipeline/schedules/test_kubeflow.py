"""`petseg schedule` against a Kubeflow Pipelines server: what it sends, what it leaves alone, what it heals."""

import io
import re
import subprocess
import sys
from functools import partial

import pytest
from fake_kubeflow_api import FakeKubeflowApi
from fake_kubeflow_messages import RefusalError
from kfp_server_api import models
from schedule_commands import Commands, make_package

from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow.client import connect

CHANGES = ("POST", "DELETE")


@pytest.fixture(autouse=True)
def _no_firing_is_near(monkeypatch):
    monkeypatch.setattr("pipeline.schedules.replacement.QUIET_SECONDS", 0)


def the_one(api):
    (recurring,) = api.store.recurring_runs.values()
    return recurring


def changes_of_schedules(api) -> list[str]:
    return [change for change in changes(api) if "/recurringruns" in change]


def changes(api) -> list[str]:
    return [str(request) for request in api.requests if request.method in CHANGES]


def add_recurring_run(api, like, **fields):
    """Adds a copy of a recurring run, as an interrupted apply or another user leaves it."""
    values = {**like.to_dict(), "trigger": like.trigger, "runtime_config": like.runtime_config}
    values["pipeline_version_reference"] = like.pipeline_version_reference
    return api.store.create_recurring_run(models.V2beta1RecurringRun(**{**values, "mode": "DISABLE", **fields}))


def test_apply_creates_the_schedule_with_every_setting(api, uploaded, petseg):
    outcome = petseg("apply", schedule__parameters__epochs=20, schedule__max_concurrency=2)
    assert outcome.code == 0, outcome.err
    sent = the_one(api)
    assert sent.display_name == "petseg-demo"
    assert sent.trigger.cron_schedule.cron == "0 0 3 * * 1"
    assert sent.no_catchup is True
    assert (sent.max_concurrency, sent.status) == ("2", "ENABLED")
    assert sent.pipeline_version_reference.pipeline_version_id is None
    assert sent.runtime_config.pipeline_root == "minio://mlpipeline/v2/artifacts"
    assert sent.runtime_config.parameters == {"epochs": 20}
    assert api.store.experiments[sent.experiment_id].display_name == "petseg-demo"
    assert sent.description == "At 03:00, only on Monday, in UTC"
    assert "create the schedule petseg-demo" in outcome.out
    assert "At 03:00, only on Monday (UTC); the next times:" in outcome.out


def test_a_second_apply_changes_nothing(api, uploaded, petseg):
    petseg("apply", schedule__parameters__epochs=20)
    before = changes(api)
    outcome = petseg("apply", schedule__parameters__epochs=20)
    assert outcome.code == 0
    assert "is as declared" in outcome.out
    assert changes(api) == before


@pytest.mark.parametrize(
    ("settings", "setting", "old", "new"),
    [
        ({"schedule__cron": "0 4 * * 1"}, "cron", "0 0 3 * * 1", "0 0 4 * * 1"),
        ({"schedule__max_concurrency": 3}, "max concurrency", "1", "3"),
        ({"schedule__catch_up": "true"}, "catch up", "no", "yes"),
        ({"schedule__parameters__epochs": 9}, "parameters.epochs", None, "9"),
        (
            {"kubeflow__pipeline_root": "gs://bucket/x"},
            "pipeline root",
            "minio://mlpipeline/v2/artifacts",
            "gs://bucket/x",
        ),
        ({"kubeflow__experiment": "nightly"}, "experiment", "petseg-demo", "nightly"),
        ({"kubeflow__service_account": "trainer"}, "service account", None, "trainer"),
    ],
)
def test_a_changed_setting_is_shown_and_takes_the_place_of_the_old(api, uploaded, petseg, settings, setting, old, new):
    petseg("apply")
    former = the_one(api).recurring_run_id
    outcome = petseg("apply", "--json", **settings)
    assert outcome.code == 0, outcome.err
    assert outcome.json["action"] == "update"
    assert outcome.json["differences"] == [{"setting": setting, "old": old, "new": new}]
    assert the_one(api).recurring_run_id != former
    assert the_one(api).status == "ENABLED"
    assert petseg("apply", "--json", **settings).json["action"] == "none"


SECRET = '[{variable="PETSEG_WEBHOOK_URL", secret="hooks", key="url"}]'


def test_the_runs_of_a_schedule_tell_people(api, petseg, monkeypatch):
    monkeypatch.setenv("PETSEG_WEBHOOK_URL", "https://hooks.test/of-this-machine")
    connect(KubeflowConfig(host=api.host), backoff_seconds=0).upload(make_package(notifies=True))
    petseg = partial(petseg, schedule__only_if_needed="false")
    assert petseg("apply", "--json").json["notes"] == []
    assert the_one(api).runtime_config.parameters == {}
    hook = {"notification__webhook": "true", "kubeflow__secrets": SECRET}
    outcome = petseg("apply", "--json", **hook)
    assert outcome.json["notes"] == []
    assert outcome.json["differences"] == [{"setting": "parameters.notify", "old": None, "new": '"always"'}]
    assert the_one(api).runtime_config.parameters == {"notify": "always"}
    assert petseg("apply", "--json", **hook).json["action"] == "none"
    petseg("apply", schedule__parameters__notify="never", **hook)
    assert the_one(api).runtime_config.parameters == {"notify": "never"}


@pytest.mark.parametrize(
    ("notifies", "secrets", "said"),
    [
        (True, "[]", "kubeflow.secrets gives pods no PETSEG_WEBHOOK_URL"),
        (False, SECRET, "the package has no parameter 'notify'; compile and upload it anew"),
    ],
)
def test_what_keeps_people_from_being_told_is_said(api, petseg, notifies, secrets, said):
    connect(KubeflowConfig(host=api.host), backoff_seconds=0).upload(make_package(notifies=notifies))
    settings = {"schedule__only_if_needed": "false", "notification__webhook": "true", "kubeflow__secrets": secrets}
    [note] = petseg("apply", "--json", **settings).json["notes"]
    assert said in note


class TestDeciding:
    """Whether the runs of a schedule train only where there is a reason."""

    @pytest.fixture(autouse=True)
    def _uploaded(self, api):
        connect(KubeflowConfig(host=api.host), backoff_seconds=0).upload(make_package(decides=True))

    def test_they_do_unless_told_otherwise(self, api, petseg):
        outcome = petseg("apply", "--json")
        assert outcome.json["notes"] == []
        assert the_one(api).runtime_config.parameters == {"only_if_needed": True}
        assert petseg("apply", "--json").json["action"] == "none"
        outcome = petseg("apply", "--json", schedule__only_if_needed="false")
        changed = {"setting": "parameters.only_if_needed", "old": "true", "new": "false"}
        assert outcome.json["differences"] == [changed]
        assert the_one(api).runtime_config.parameters == {"only_if_needed": False}

    def test_a_parameter_that_is_declared_counts(self, api, petseg):
        petseg("apply", schedule__parameters__only_if_needed="false", schedule__parameters__epochs=2)
        assert the_one(api).runtime_config.parameters == {"only_if_needed": False, "epochs": 2}

    def test_a_schedule_of_an_earlier_petseg_gets_it(self, api, petseg):
        petseg("apply", schedule__only_if_needed="false")
        the_one(api).runtime_config.parameters = {}
        [change] = petseg("apply", "--json").json["differences"]
        assert change == {"setting": "parameters.only_if_needed", "old": None, "new": "true"}


def test_that_every_firing_trains_is_said_where_the_package_does_not_decide(uploaded, petseg):
    [note] = petseg("apply", "--json").json["notes"]
    assert note.startswith("every firing trains")
    assert petseg("apply", "--json", schedule__only_if_needed="false").json["notes"] == []


def test_an_account_that_is_declared_no_more_is_given_up(api, uploaded, petseg):
    petseg("apply", kubeflow__service_account="trainer")
    outcome = petseg("apply", "--json")
    assert outcome.json["differences"] == [{"setting": "service account", "old": "trainer", "new": None}]
    assert the_one(api).service_account is None


@pytest.mark.parametrize("account", ["pipeline-runner", "default-editor"])
def test_an_account_that_the_server_chose_is_no_difference(api, uploaded, petseg, account):
    petseg("apply")
    the_one(api).service_account = account
    assert petseg("apply", "--json").json["action"] == "none"


def test_a_change_never_lets_both_fire(api, uploaded, petseg):
    petseg("apply")
    old = the_one(api).recurring_run_id
    api.requests.clear()
    petseg("apply", schedule__max_concurrency=2)
    new = the_one(api).recurring_run_id
    path = "/apis/v2beta1/recurringruns"
    assert changes(api) == [
        f"POST {path}",
        f"POST {path}/{old}:disable",
        f"POST {path}/{new}:enable",
        f"DELETE {path}/{old}",
    ]
    created = next(request.json for request in api.requests if str(request) == f"POST {path}")
    assert created["mode"] == "DISABLE"


def test_dry_run_says_the_same_and_changes_nothing(api, uploaded, petseg, tmp_path):
    file = tmp_path / "package.yaml"
    make_package("petseg:2").save(file)
    before = changes(api)
    outcome = petseg("apply", "--dry-run", "--package", str(file))
    assert outcome.code == 0, outcome.err
    assert "create the schedule petseg-demo" in outcome.out
    assert f"the package is uploaded as the version petseg-demo-{make_package('petseg:2').digest}" in outcome.out
    assert outcome.out.endswith("nothing was changed (--dry-run)\n")
    petseg("apply", "--dry-run")
    assert changes(api) == before
    assert not api.store.recurring_runs


def test_a_paused_schedule_stays_paused_and_that_is_said(api, uploaded, petseg):
    petseg("apply")
    assert "paused the schedule" in petseg("pause").out
    outcome = petseg("apply", schedule__max_concurrency=2)
    assert "it is paused and stays so" in outcome.out
    assert (the_one(api).status, the_one(api).max_concurrency) == ("DISABLED", "2")
    assert "is paused already" in petseg("pause").out
    assert "resumed the schedule" in petseg("resume").out
    assert the_one(api).status == "ENABLED"
    assert "is enabled already" in petseg("resume").out


def test_package_is_uploaded_first(api, petseg, tmp_path):
    file = tmp_path / "package.yaml"
    make_package().save(file)
    assert petseg("apply", "--package", str(file)).code == 0
    assert [version.name for version in api.store.versions.values()] == [f"petseg-demo-{make_package().digest}"]
    assert the_one(api).pipeline_version_reference.pipeline_id in api.store.pipelines


def test_a_package_of_another_pipeline_is_refused(api, petseg, tmp_path):
    file = tmp_path / "package.yaml"
    make_package(name="petseg-pets").save(file)
    outcome = petseg("apply", "--package", str(file))
    assert outcome.code == 2
    assert "holds the pipeline 'petseg-pets', but pipeline.name is 'petseg-demo'" in outcome.err
    assert not changes(api)


def test_without_a_pipeline_on_the_server_it_says_how_to_get_one(api, petseg):
    outcome = petseg("apply")
    assert outcome.code == 1
    assert "has no pipeline 'petseg-demo'; upload one: petseg kubeflow submit --upload-only" in outcome.err
    assert not changes(api)


def test_a_pinned_version_is_kept_and_an_unknown_one_is_refused_with_the_nearest(api, uploaded, petseg):
    outcome = petseg("apply", schedule__version=uploaded[:-1] + "x")
    assert outcome.code == 2
    assert f"the server has no such version; did you mean '{uploaded}'?" in outcome.err
    assert petseg("apply", schedule__version=uploaded).code == 0
    assert the_one(api).pipeline_version_reference.pipeline_version_id in api.store.versions
    assert petseg("apply", "--json", schedule__version=uploaded).json["action"] == "none"
    difference = petseg("apply", "--json", "--dry-run").json["differences"]
    assert difference == [{"setting": "version", "old": uploaded, "new": "latest"}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"schedule__parameters__epochs": "many"},
            "schedule.parameters.epochs is 'many', but the pipeline wants a NUMBER",
        ),
        ({"schedule__parameters__epochs": 1.5}, "epochs is 1.5, but the pipeline wants a NUMBER_INTEGER"),
        ({"schedule__parameters__epochs": 2.0}, "epochs is 2.0, but the pipeline wants a NUMBER_INTEGER; write sched"),
        ({"schedule__parameters__epochs": "true"}, "epochs is True, but the pipeline wants a NUMBER_INTEGER"),
        ({"schedule__parameters__dataset_version": 4}, "dataset_version is 4, but the pipeline wants a STRING"),
        ({"schedule__parameters__epoch": 3}, "no such parameter; did you mean 'epochs'?"),
        (
            {"schedule__parameters__epochs": 0},
            "schedule.parameters: the parameter epochs is 0; expected: a whole number",
        ),
        (
            {"schedule__parameters__force_bless": "it leaks"},
            "schedule.parameters.force_bless would overrule the gate in every run",
        ),
        (
            {"schedule__parameters__reset_baseline": "true"},
            "it is for a single one: petseg kubeflow submit --reset-baseline, or on this machine petseg run --reset-ba",
        ),
    ],
)
def test_parameters_are_checked_against_the_newest_version(api, uploaded, petseg, settings, message):
    outcome = petseg("apply", **settings)
    assert outcome.code == 2
    assert message in outcome.err
    assert not changes_of_schedules(api)


@pytest.mark.parametrize("epochs", [0, 1.5, 2.0])
def test_ranges_are_checked_where_the_server_does_not_show_the_package(api, uploaded, petseg, monkeypatch, epochs):
    monkeypatch.setattr("pipeline.kubeflow.pipelines.ServerPipelines.package", lambda _self, _version: None)
    outcome = petseg("apply", schedule__parameters__epochs=epochs)
    assert outcome.code == 2
    assert f"the parameter epochs is {epochs}; expected: a whole number from 1 on" in outcome.err
    assert not changes_of_schedules(api)


@pytest.mark.parametrize("runs_at_a_time", [0, 11, -1, 1.5])
def test_how_many_runs_at_a_time_is_checked_without_the_server(api, petseg, runs_at_a_time):
    outcome = petseg("apply", schedule__max_concurrency=runs_at_a_time)
    assert outcome.code == 2
    assert "schedule.max_concurrency" in outcome.err
    assert not api.requests


def test_a_parameter_without_a_default_has_to_be_given(api, petseg, tmp_path):
    file = tmp_path / "package.yaml"
    make_package(defaults=False).save(file)
    assert "schedule.parameters lacks epochs" in petseg("apply", "--package", str(file)).err
    assert petseg("apply", "--package", str(file), schedule__parameters__epochs=2).code == 0


def test_without_a_cron_line_there_is_nothing_to_apply(api, uploaded, petseg):
    outcome = petseg("apply", schedule__cron="none")
    assert outcome.code == 2
    assert "schedule.cron is not set" in outcome.err
    assert not changes_of_schedules(api)


def test_a_line_of_six_fields_is_refused_since_petseg_adds_the_seconds(api, petseg):
    outcome = petseg("apply", schedule__cron="0 0 3 * * 1")
    assert outcome.code == 2
    assert "write '0 3 * * 1'" in outcome.err
    assert not api.requests


def test_a_zone_that_the_server_cannot_follow_is_refused_and_a_fixed_one_converted(api, uploaded, petseg):
    outcome = petseg("apply", schedule__time_zone="Europe/Berlin")
    assert outcome.code == 2
    assert "CRON_SCHEDULE_TIMEZONE=Europe/Berlin" in outcome.err
    out = petseg("apply", schedule__time_zone="Asia/Tokyo").out
    assert "At 03:00, only on Monday (Asia/Tokyo); the next times:" in out
    assert re.search(r"Mon \S+ 03:00 \+0900  = Sun \S+ 18:00 UTC", out)
    assert the_one(api).trigger.cron_schedule.cron == "0 0 18 * * 0"
    outcome = petseg("apply", schedule__time_zone="Europe/Berlin", schedule__server_time_zone="Europe/Berlin")
    assert outcome.code == 0
    assert the_one(api).trigger.cron_schedule.cron == "0 0 3 * * 1"


def test_a_firing_in_the_change_of_the_clocks_is_warned_of(api, uploaded, petseg):
    zone = {"schedule__time_zone": "Europe/Berlin", "schedule__server_time_zone": "Europe/Berlin"}
    out = petseg("apply", "--dry-run", schedule__cron="30 2 * * *", **zone).out
    assert "does not exist in Europe/Berlin: Kubeflow Pipelines starts no run" in out
    assert "comes twice in Europe/Berlin: Kubeflow Pipelines starts two runs" in out


@pytest.mark.parametrize(
    ("status", "message"), [(401, "not authenticated"), (403, "needs the rights"), (409, "it exists already")]
)
def test_a_refused_creation_leaves_nothing(api, uploaded, petseg, status, message):
    api.fail(status, on="POST /apis/v2beta1/recurringruns")
    outcome = petseg("apply")
    assert outcome.code == 1
    assert "cannot create the schedule 'petseg-demo'" in outcome.err
    assert message in outcome.err
    assert not api.store.recurring_runs
    assert petseg("apply").code == 0


def test_an_unreachable_server_is_named(api, uploaded, petseg):
    outcome = petseg("apply", kubeflow__host="http://127.0.0.1:9")
    assert outcome.code == 1
    assert "http://127.0.0.1:9 cannot be reached" in outcome.err


def test_two_schedules_of_one_name_are_refused_with_their_ids_and_one_can_be_deleted(api, uploaded, petseg):
    petseg("apply")
    first = the_one(api)
    second = add_recurring_run(api, first)
    for command in ("apply", "pause", "show"):
        outcome = petseg(command)
        assert outcome.code == 1
        assert first.recurring_run_id in outcome.err
        assert second.recurring_run_id in outcome.err
    assert petseg("delete", second.recurring_run_id, "--yes").code == 0
    assert the_one(api) is first


@pytest.mark.parametrize("arguments", [("--dry-run",), ()])
def test_a_namesake_that_runs_another_pipeline_is_left_alone(api, uploaded, petseg, arguments):
    petseg("apply")
    theirs = the_one(api)
    other = connect(KubeflowConfig(host=api.host), backoff_seconds=0).upload(make_package(name="petseg-pets"))
    theirs.pipeline_version_reference.pipeline_id = other.pipeline_id
    before = changes(api)
    outcome = petseg("apply", *arguments, schedule__max_concurrency=2)
    assert outcome.code == 1
    assert "has a schedule 'petseg-demo' already, which runs the pipeline 'petseg-pets'" in outcome.err
    assert f"choose another schedule.name, or delete that one: petseg schedule delete {theirs.recurring_run_id}" in (
        outcome.err
    )
    assert changes(api) == before


def test_a_namesake_that_runs_a_package_of_its_own_is_left_alone(api, uploaded, petseg):
    petseg("apply")
    the_one(api).pipeline_version_reference = None
    before = changes(api)
    assert "which runs a package of its own" in petseg("apply", schedule__max_concurrency=2).err
    assert changes(api) == before


def test_a_schedule_whose_pipeline_is_gone_is_changed(api, uploaded, petseg):
    petseg("apply")
    the_one(api).pipeline_version_reference.pipeline_id = "gone"
    outcome = petseg("apply", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["differences"] == [{"setting": "pipeline", "old": "gone", "new": "petseg-demo"}]


def rivals(api, times: int = 1) -> list:
    """Lets somebody else make a recurring run of the same name whenever one is made; returns those."""
    made, create = [], api.store.create_recurring_run

    def create_two(recurring):
        ours = create(recurring)
        if len(made) < times:
            values = {**recurring.to_dict(), "trigger": recurring.trigger, "runtime_config": recurring.runtime_config}
            values["pipeline_version_reference"] = recurring.pipeline_version_reference
            made.append(create(models.V2beta1RecurringRun(**values)))
        return ours

    api.store.create_recurring_run = create_two
    return made


def test_of_two_that_are_made_at_the_same_moment_ours_is_removed(api, uploaded, petseg):
    theirs = rivals(api)
    outcome = petseg("apply")
    assert outcome.code == 1
    assert f"somebody made a schedule 'petseg-demo' at the same moment: {theirs[0].recurring_run_id}" in outcome.err
    assert "Ours was removed again; apply once more" in outcome.err
    assert the_one(api) is theirs[0]
    assert "is as declared" in petseg("apply").out


def test_also_when_one_is_changed(api, uploaded, petseg):
    petseg("apply")
    old = the_one(api)
    theirs = rivals(api)
    outcome = petseg("apply", schedule__max_concurrency=2)
    assert outcome.code == 1
    assert "Ours was removed again" in outcome.err
    assert list(api.store.recurring_runs) == [old.recurring_run_id, theirs[0].recurring_run_id]
    assert old.status == "ENABLED"


def test_when_ours_cannot_be_removed_it_is_said(api, uploaded, petseg):
    rivals(api)
    api.fail(403, on="DELETE")
    outcome = petseg("apply")
    assert outcome.code == 1
    ours = next(iter(api.store.recurring_runs))
    assert f"Ours is there, too (cannot delete the schedule {ours}" in outcome.err
    assert f"petseg schedule delete {ours}" in outcome.err


def test_one_that_was_made_between_the_plan_and_its_execution_is_no_success(api, uploaded, petseg, monkeypatch):
    petseg("apply")
    theirs = the_one(api)
    listed = iter([{}])
    page = api.store.select

    def select(entries, query, kind):
        return page(next(listed, entries) if kind == "Job" else entries, query, kind)

    monkeypatch.setattr(api.store, "select", select)
    outcome = petseg("apply", schedule__max_concurrency=2)
    assert outcome.code == 1
    assert f"somebody made a schedule 'petseg-demo' meanwhile: {theirs.recurring_run_id}" in outcome.err
    assert theirs.max_concurrency == "1"


@pytest.mark.parametrize("step", ["disable", "enable"])
def test_when_a_step_of_a_change_fails_the_old_schedule_works_on(api, uploaded, petseg, step):
    petseg("apply")
    old = the_one(api).recurring_run_id
    fail_once(api, step)
    outcome = petseg("apply", schedule__max_concurrency=2)
    assert outcome.code == 1
    assert "The schedule is as it was" in outcome.err
    assert (the_one(api).recurring_run_id, the_one(api).status) == (old, "ENABLED")
    assert petseg("apply", schedule__max_concurrency=2).code == 0
    assert the_one(api).max_concurrency == "2"


def fail_once(api, step: str) -> None:
    """Fails the next request that ends in the step's name."""
    answer = api.answer

    def failing(request):
        if request.path.endswith(f":{step}"):
            api.answer = answer
            raise RefusalError(403, 7, "not today")
        return answer(request)

    api.answer = failing


def test_when_the_old_one_cannot_be_removed_the_next_apply_does_it(api, uploaded, petseg):
    petseg("apply")
    old = the_one(api)
    api.fail(403, on="DELETE")
    outcome = petseg("apply", schedule__max_concurrency=2)
    assert outcome.code == 1
    assert "apply again to remove it" in outcome.err
    assert sorted(run.status for run in api.store.recurring_runs.values()) == ["DISABLED", "ENABLED"]
    outcome = petseg("apply", schedule__max_concurrency=2)
    assert outcome.code == 0
    assert f"an interrupted change left the recurring run {old.recurring_run_id}, which is removed" in outcome.out
    assert (the_one(api).max_concurrency, the_one(api).status) == ("2", "ENABLED")


@pytest.mark.parametrize(
    ("old_status", "was", "healed"),
    [("ENABLED", "enabled", "ENABLED"), ("DISABLED", "enabled", "ENABLED"), ("DISABLED", "paused", "DISABLED")],
)
@pytest.mark.parametrize("wanted", [1, 2])
def test_a_change_that_was_killed_before_the_new_one_fires_is_begun_again(
    api, uploaded, petseg, old_status, was, healed, wanted
):
    petseg("apply")
    old = the_one(api)
    old.status = old_status
    description = f"At 03:00; replaces {old.recurring_run_id}, which was {was}"
    leftover = add_recurring_run(api, old, description=description, max_concurrency="2")
    outcome = petseg("apply", schedule__max_concurrency=wanted)
    assert outcome.code == 0, outcome.err
    assert (the_one(api).max_concurrency, the_one(api).status) == (str(wanted), healed)
    assert the_one(api).recurring_run_id != leftover.recurring_run_id


def test_a_change_that_was_killed_before_the_old_one_was_deleted_is_finished(api, uploaded, petseg):
    petseg("apply")
    old = the_one(api)
    old.status = "DISABLED"
    description = f"At 03:00; replaces {old.recurring_run_id}, which was enabled"
    new = add_recurring_run(api, old, description=description, max_concurrency="2", mode="ENABLE")
    assert petseg("apply", schedule__max_concurrency=2).code == 0
    assert the_one(api) is new


def test_a_change_waits_until_the_runs_of_the_schedule_are_done(api, uploaded, petseg):
    petseg("apply")
    petseg("trigger")
    (run,) = api.store.runs.values()
    run.recurring_run_id = the_one(api).recurring_run_id
    outcome = petseg("apply", schedule__max_concurrency=2)
    assert outcome.code == 1
    assert f"petseg kubeflow cancel {run.run_id}" in outcome.err
    assert the_one(api).max_concurrency == "1"
    run.state = "SUCCEEDED"
    assert petseg("apply", schedule__max_concurrency=2).code == 0


def test_trigger_starts_a_run_as_the_schedule_does(api, uploaded, petseg):
    petseg("apply", schedule__parameters__epochs=20, kubeflow__pipeline_root="gs://b/x")
    outcome = petseg("trigger")
    assert outcome.code == 0, outcome.err
    (run,) = api.store.runs.values()
    assert run.run_id in outcome.out
    assert run.runtime_config.parameters == {"epochs": 20}
    assert run.runtime_config.pipeline_root == "gs://b/x"
    assert run.experiment_id == the_one(api).experiment_id
    assert run.pipeline_version_reference.pipeline_version_id in api.store.versions


def test_list_and_show(api, uploaded, petseg):
    assert "no schedules on" in petseg("list").out
    petseg("apply", schedule__parameters__epochs=20)
    assert "0 3 * * 1" in petseg("list").out
    (listed,) = petseg("list", "--json").json
    assert (listed["name"], listed["enabled"], listed["cron"]) == ("petseg-demo", True, "0 3 * * 1")
    shown = petseg("show", "--json").json
    assert shown["id"] == the_one(api).recurring_run_id
    assert shown["settings"]["parameters.epochs"] == "20"
    assert len(shown["next_firings"]) == 5
    out = petseg("show").out
    assert "max concurrency    1" in out
    assert "At 03:00, only on Monday" in out


def test_on_a_server_only_the_client_of_its_api_is_loaded(api, uploaded, petseg):
    petseg("apply")
    code = (
        "import sys\nfrom pipeline.cli import exit_code\n"
        "for command in ('list', 'show'):\n"
        "    assert exit_code(['schedule', command, '--preset', 'demo', *sys.argv[1:]]) == 0\n"
        "assert 'kfp_server_api' in sys.modules\n"
        "heavy = {'tensorflow', 'tfx', 'kfp', 'apache_beam', 'kubernetes', 'ml_metadata', 'grpc', 'keras'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", code, f"--set=kubeflow.host={api.host}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_all_pages_are_read(api, uploaded, petseg):
    petseg("apply")
    for number in range(120):
        add_recurring_run(api, the_first(api), display_name=f"other-{number}")
    assert len(petseg("list", "--json").json) == 121
    assert petseg("show", "other-119").code == 0


def the_first(api):
    return next(iter(api.store.recurring_runs.values()))


def test_a_schedule_that_was_made_elsewhere_is_shown_as_it_is(api, uploaded, petseg):
    petseg("apply")
    the_one(api).trigger.cron_schedule.cron = "0 3 * * 1"
    assert "its firing times are not known here" in petseg("show").out
    change = petseg("apply", "--json", "--dry-run").json["differences"]
    old = "0 3 * * 1 (seconds first, any day of the week)"
    assert change == [{"setting": "cron", "old": old, "new": "0 0 3 * * 1"}]


CRON = models.V2beta1CronSchedule
PERIODIC = models.V2beta1PeriodicSchedule


@pytest.mark.parametrize(
    ("trigger", "shown"),
    [
        (models.V2beta1Trigger(cron_schedule=CRON(cron="0 3 * * 1")), "0 3 * * 1 (seconds first, any day of the week)"),
        (models.V2beta1Trigger(cron_schedule=CRON(cron="30 0 3 * * 1")), "30 0 3 * * 1 (seconds first)"),
        (models.V2beta1Trigger(cron_schedule=CRON(cron="@daily")), "@daily"),
        (models.V2beta1Trigger(periodic_schedule=PERIODIC(interval_second="3600")), "none, but every 3600 s"),
        (None, "none: it fires only once"),
    ],
)
def test_a_trigger_that_petseg_would_not_write_is_shown_as_the_server_reads_it(api, uploaded, petseg, trigger, shown):
    petseg("apply")
    the_one(api).trigger = trigger
    (listed,) = petseg("list", "--json").json
    assert (listed["cron"], listed["settings"]["cron"]) == (None, shown)
    assert shown in petseg("list").out
    assert f"  {shown}\n" in petseg("show").out


def test_delete_asks_and_names_what_stops(api, uploaded, petseg, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    petseg("apply")
    petseg("trigger")
    (run,) = api.store.runs.values()
    run.recurring_run_id = the_one(api).recurring_run_id
    outcome = petseg("delete")
    assert outcome.code == 130
    assert "delete the schedule petseg-demo" in outcome.err
    assert f"stop its runs that go on ({run.run_id})" in outcome.err
    assert the_one(api)
    assert petseg("delete", "--yes").code == 0
    assert not api.store.recurring_runs
    outcome = petseg("delete", "--yes")
    assert outcome.code == 1
    assert "there is no schedule 'petseg-demo'" in outcome.err


def test_an_unknown_name_is_refused_with_the_nearest(api, uploaded, petseg):
    petseg("apply")
    assert "did you mean 'petseg-demo'?" in petseg("pause", "petseg-dmo").err


def test_in_a_server_of_many_users_schedules_are_those_of_the_namespace(capsys):
    with FakeKubeflowApi(multi_user=True) as api:
        connect(KubeflowConfig(host=api.host, namespace="team"), backoff_seconds=0).upload(make_package())
        team, other = (
            Commands(
                capsys.readouterr,
                *("--set", f"kubeflow.host={api.host}"),
                *("--set", f"kubeflow.namespace={namespace}"),
                *("--set", "schedule.cron=0 3 * * 1"),
            )
            for namespace in ("team", "other")
        )
        outcome = team("apply")
        assert outcome.code == 0, outcome.err
        assert the_one(api).namespace == "team"
        assert len(team("list", "--json").json) == 1
        assert other("list", "--json").json == []
