"""What Flink says of itself and its jobs, by what a real one said."""

import pytest
from fake_flink import FINISHED, WITHOUT_WORKERS, FakeFlink, recorded

from pipeline.beam.flink import Flink, FlinkError


@pytest.fixture
def fake():
    with FakeFlink() as server:
        yield server


def test_it_says_its_release_and_where_its_tasks_run(fake):
    flink = Flink(fake.master)
    assert (flink.version(), flink.host) == ("1.19.3", "127.0.0.1")
    assert flink.worker_hosts() == ["localhost"]
    assert flink.slots() == (1, 2, 2)


def test_it_is_asked_without_a_proxy_as_its_job_server_does(fake, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert Flink(fake.master).version() == "1.19.3"


@pytest.mark.parametrize("address", ["pekko.tcp://flink@10.0.0.7:41009/user/rpc/taskmanager_0", "x@10.0.0.7:1/"])
def test_hosts_of_task_managers_are_taken_from_their_addresses(fake, address):
    fake.task_managers["taskmanagers"][0]["path"] = address
    assert Flink(f"http://{fake.master}/").worker_hosts() == ["10.0.0.7"]


def test_a_job_that_works_has_records(fake):
    fake.has(FINISHED, "job_finished")
    job = Flink(fake.master).job(FINISHED)
    assert (job.state, job.has_ended, job.has_records, job.waits_for_slots) == ("FINISHED", True, True, False)


def test_a_job_without_workers_has_none(fake):
    fake.has(WITHOUT_WORKERS, "job_without_workers")
    job = Flink(fake.master).job(WITHOUT_WORKERS)
    assert (job.state, job.has_ended, job.has_records, job.waits_for_slots) == ("RUNNING", False, False, False)
    assert job.tasks == {"FINISHED": 3, "RUNNING": 3, "CREATED": 2}


def test_a_job_waits_for_slots_while_none_of_its_tasks_has_one(fake):
    vertices = [vertex | {"tasks": {"SCHEDULED": 1, "RUNNING": 0}} for vertex in recorded("job_finished")["vertices"]]
    fake.has("job", "job_without_workers", vertices=vertices)
    assert Flink(fake.master).job("job").waits_for_slots


def test_of_jobs_of_one_name_the_latest_counts_and_another_name_is_none(fake):
    fake.has("job", "job_finished")
    assert Flink(fake.master).job("another") is None
    assert Flink(fake.master).job("job").id == recorded("job_finished")["jid"]


def test_a_job_is_canceled_by_its_id(fake):
    fake.has(WITHOUT_WORKERS, "job_without_workers")
    flink = Flink(fake.master)
    flink.cancel(flink.job(WITHOUT_WORKERS).id)
    assert flink.job(WITHOUT_WORKERS).has_ended
    with pytest.raises(FlinkError, match="PATCH /jobs/0 is answered with HTTP 404"):
        flink.cancel("0")


@pytest.mark.parametrize(
    ("body", "message"), [("<html>", "its answer is no JSON"), ("[]", "no JSON object"), ("{}", "no 'flink-version'")]
)
def test_what_is_no_flink_is_told(fake, body, message):
    fake.fail(200, body=body)
    with pytest.raises(FlinkError, match=f"no Flink.*{message}"):
        Flink(fake.master).version()


def test_what_does_not_answer_is_told(fake):
    fake.fail(503)
    with pytest.raises(FlinkError, match="GET /config is answered with HTTP 503"):
        Flink(fake.master).version()
    fake.break_off()
    with pytest.raises(FlinkError, match="it does not answer"):
        Flink(fake.master).version()
    fake.close()
    with pytest.raises(FlinkError, match=r"it does not answer: .*refused"):
        Flink(fake.master).version()
