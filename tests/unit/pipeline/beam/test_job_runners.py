"""A job through a job server ends with what waits for it, whatever the end is, and leaves no process."""

import _thread
import os
import select
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import apache_beam as beam
import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability import portable_runner
from fake_flink import FINISHED, WITHOUT_WORKERS, FakeFlink, recorded
from portable_jobs import fake_java, python_job_server

from petseg.processes import command
from pipeline.beam import job_runners
from pipeline.beam.arguments import arguments_for_tfx
from pipeline.beam.flink import Flink
from pipeline.beam.job_runners import JobProgress
from pipeline.beam.notices import heard_by
from trainer_module.errors import PetsegError

# Threads of Beam's workers end with an error where a job ends early.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
ENDED = threading.Event()


def double(number):
    return 2 * number


def fail(number):
    raise ZeroDivisionError("one of the many")


def interrupt_and_go_on(number):
    if number == 1:
        _thread.interrupt_main()
    return go_on(number)


def go_on(number):
    ENDED.wait(60)
    return number


def work(arguments, function, out):
    with beam.Pipeline(options=PipelineOptions(arguments_for_tfx(arguments))) as pipeline:
        numbers = pipeline | beam.Create([1, 2, 3]) | beam.Map(function) | beam.Map(str)
        numbers | beam.io.WriteToText(str(out), shard_name_template="")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The directory of temporary files."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


@pytest.fixture(autouse=True)
def _jobs_end():
    ENDED.clear()
    yield
    ENDED.set()


@pytest.fixture
def notices():
    heard = []
    with heard_by(heard.append):
        yield heard


def job_servers_files(temporary):
    return [*temporary.glob("job-server-*")]


@pytest.mark.slow
def test_the_job_server_ends_with_the_job(tmp_path, temporary):
    java = fake_java(tmp_path)
    handler = signal.getsignal(signal.SIGINT)
    work(java.arguments, double, tmp_path / "out")
    assert sorted((tmp_path / "out").read_text().split()) == ["2", "4", "6"]
    assert len(java.started) == 1
    assert java.left == []
    assert job_servers_files(temporary) == []
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.slow
def test_it_ends_with_a_job_that_fails(tmp_path, temporary):
    java = fake_java(tmp_path)
    with pytest.raises(RuntimeError, match="one of the many"):
        work(java.arguments, fail, tmp_path / "out")
    assert (len(java.started), java.left, job_servers_files(temporary)) == (1, [], [])


@pytest.mark.slow
def test_it_ends_with_a_job_that_is_interrupted(tmp_path, temporary):
    java = fake_java(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        work(java.arguments, interrupt_and_go_on, tmp_path / "out")
    assert (len(java.started), java.left, job_servers_files(temporary)) == (1, [], [])


def test_a_job_server_that_does_not_start_says_why(tmp_path, temporary, caplog):
    java = fake_java(tmp_path, fails=True)
    with pytest.raises(
        PetsegError, match=r"ended with 3 before it answered .*It said: Error: a JNI error has occurred"
    ):
        work(java.arguments, double, tmp_path / "out")
    assert (java.left, job_servers_files(temporary)) == ([], [])
    assert "Error: a JNI error has occurred" in caplog.text


def test_an_interrupt_cancels_the_job_on_a_server_that_is_not_ours(tmp_path):
    with python_job_server() as (servicer, endpoint):
        arguments = ["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=LOOPBACK"]
        with pytest.raises(KeyboardInterrupt):
            work(arguments, interrupt_and_go_on, tmp_path / "out")
        [job] = servicer._jobs.values()
        assert job.state == beam_job_api_pb2.JobState.CANCELLED
        ENDED.set()


def test_a_process_that_is_bound_to_another_ends_with_it(tmp_path):
    script = (
        "import os, subprocess, sys\n"
        f"bound = subprocess.Popen({command('pipeline.beam.bound_process')!r} + [str(os.getpid()), 'sleep', '600'])\n"
        "while open(f'/proc/{bound.pid}/comm').read() != 'sleep\\n': pass\n"
        "print(bound.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    pid = int(parent.stdout.readline())
    descriptor = os.pidfd_open(pid)
    parent.kill()
    parent.communicate()
    assert select.select([descriptor], [], [], 60)[0], "it goes on"


def test_a_process_whose_parent_is_gone_does_not_begin():
    result = subprocess.run(
        [*command("pipeline.beam.bound_process"), "1", "sleep", "600"], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, "sleep: the process that was to use it is gone" in result.stderr) == (1, True)


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(job_runners, "_NOTICE_SECONDS", 0.0)
    monkeypatch.setattr(job_runners, "_POLL_SECONDS", 0.05)


@pytest.fixture
def flink():
    with FakeFlink() as server:
        yield server


@pytest.mark.usefixtures("at_once")
def test_a_wait_for_workers_is_said_and_has_an_end(flink, notices):
    progress = JobProgress(WITHOUT_WORKERS, Flink(flink.master), limit_seconds=60)
    progress.look("RUNNING")
    flink.has(WITHOUT_WORKERS, "job_without_workers")
    progress.look("RUNNING")
    assert notices == [
        f"waiting since 0 s: the job has not arrived at Flink ({flink.host})",
        "waiting since 0 s: no worker of Beam has taken a record from the job's tasks "
        "(3 FINISHED, 3 RUNNING, 2 CREATED)",
    ]
    progress = JobProgress(WITHOUT_WORKERS, Flink(flink.master), limit_seconds=0)
    with pytest.raises(PetsegError, match=r"has not begun to work in 0 s, and is canceled: no worker .*petseg's env"):
        progress.look("RUNNING")


@pytest.mark.usefixtures("at_once")
def test_a_wait_for_slots_names_them(flink):
    [manager] = flink.task_managers["taskmanagers"]
    manager["freeSlots"] = 0
    vertices = [vertex | {"tasks": {"SCHEDULED": 1}} for vertex in recorded("job_without_workers")["vertices"]]
    flink.has("job", "job_without_workers", vertices=vertices)
    with pytest.raises(
        PetsegError, match=r"no slot .*8 SCHEDULED.: 0 of 2 slots in 1 task managers are free.*numberOf"
    ):
        JobProgress("job", Flink(flink.master), limit_seconds=0).look("RUNNING")


@pytest.mark.usefixtures("at_once")
def test_a_job_that_works_is_left_in_peace(flink, notices):
    flink.has(FINISHED, "job_finished")
    progress = JobProgress(FINISHED, Flink(flink.master), limit_seconds=0)
    for _ in range(3):
        progress.look("RUNNING")
    assert notices == []
    assert flink.count("GET /jobs/overview") == 1


@pytest.mark.usefixtures("at_once")
def test_where_flink_is_not_known_the_job_servers_word_counts(notices):
    progress = JobProgress("job", None, limit_seconds=60)
    for state in ("STARTING", "RUNNING", "STARTING"):
        progress.look(state)
    assert notices == ["waiting since 0 s: the job server has the job as STARTING", ""]
    with pytest.raises(PetsegError, match="has not begun to work in 0 s, and is canceled: the job server has the job"):
        JobProgress("job", None, limit_seconds=0).look("STOPPED")


@pytest.mark.usefixtures("at_once")
def test_a_flink_that_is_gone_is_said(flink, notices):
    progress = JobProgress("job", Flink(flink.master), limit_seconds=60)
    flink.close()
    progress.look("RUNNING")
    progress.end_on_flink()
    assert "it does not answer" in notices[0]
    assert notices[1].startswith(f"whether the job job still runs on {flink.host} is not known")


@pytest.mark.usefixtures("at_once")
def test_a_job_that_flink_still_runs_is_canceled_there(flink, notices):
    flink.has(WITHOUT_WORKERS, "job_without_workers")
    flink.has("another", "job_without_workers", jid="of another run")
    JobProgress(WITHOUT_WORKERS, Flink(flink.master), limit_seconds=0).end_on_flink()
    assert [flink.jobs[name]["state"] for name in (WITHOUT_WORKERS, "another")] == ["CANCELED", "RUNNING"]
    JobProgress(WITHOUT_WORKERS, Flink(flink.master), limit_seconds=0).end_on_flink()
    assert (flink.count("PATCH"), notices) == (1, [])


@pytest.mark.usefixtures("at_once")
def test_a_job_that_goes_on_in_flink_is_named(flink, notices, monkeypatch):
    monkeypatch.setattr(job_runners, "_CANCEL_SECONDS", -1.0)
    flink.obeys = False
    flink.has(WITHOUT_WORKERS, "job_without_workers")
    JobProgress(WITHOUT_WORKERS, Flink(flink.master), limit_seconds=0).end_on_flink()
    assert notices == [f"the job {WITHOUT_WORKERS} is still RUNNING on {flink.host}; cancel it there"]


@pytest.mark.usefixtures("at_once")
def test_a_job_that_waits_for_too_long_is_canceled(flink, tmp_path, monkeypatch):
    """As where a pool of workers starts a `python` without Beam."""
    monkeypatch.setattr(job_runners, "unique_name", lambda prefix: f"{prefix}-1")
    flink.has("mine-1", "job_without_workers")
    with python_job_server() as (servicer, endpoint):
        arguments = [
            "--runner=FlinkRunner", f"--job_endpoint={endpoint}", f"--flink_master={flink.master}",
            "--environment_type=LOOPBACK", "--job_server_timeout=1", "--job_name=mine",
        ]  # fmt: skip
        with pytest.raises(PetsegError, match="has not begun to work in 1 s, and is canceled: no worker"):
            work(arguments, go_on, tmp_path / "out")
        [job] = servicer._jobs.values()
        assert (job.state, flink.jobs["mine-1"]["state"]) == (beam_job_api_pb2.JobState.CANCELLED, "CANCELED")
        ENDED.set()


def test_an_interrupt_while_the_job_is_submitted_cancels_it(tmp_path, monkeypatch):
    submit = portable_runner.JobServiceHandle.run

    def submit_and_interrupt(self, preparation_id):
        submit(self, preparation_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(portable_runner.JobServiceHandle, "run", submit_and_interrupt)
    with python_job_server() as (servicer, endpoint):
        arguments = ["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=LOOPBACK"]
        with pytest.raises(KeyboardInterrupt):
            work(arguments, go_on, tmp_path / "out")
        [job] = servicer._jobs.values()
        assert job.state == beam_job_api_pb2.JobState.CANCELLED
        ENDED.set()


def test_a_job_server_that_does_not_answer_does_not_keep_the_interrupt(caplog):
    def refuse(request, timeout):
        raise grpc.RpcError("gone")

    gone = SimpleNamespace(_job_id="job", _state=0, _job_service=SimpleNamespace(Cancel=refuse))
    result = job_runners.SupervisedResult(gone, JobProgress("job", None, 0), lambda: None)
    result.cancel()
    assert "The job server did not cancel the job" in caplog.text
    assert result.state == "UNKNOWN"
