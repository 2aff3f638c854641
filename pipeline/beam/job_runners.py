"""Beam's runners that work through a job server, supervised: what they start ends with them, and a wait has an end.

Beam finds them by their names in the argument `--runner`, see `pipeline.beam.arguments`. Importing this module imports
Beam.
"""

import logging
import threading
import time
import uuid
from typing import Any, Final, NamedTuple

import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners import runner
from apache_beam.runners.portability import flink_runner, job_server, portable_runner, spark_runner

from pipeline.beam.arguments import AUTO_MASTERS
from pipeline.beam.flink import Flink, FlinkError, FlinkJob
from pipeline.beam.job_servers import OwnedJobServer
from pipeline.beam.notices import notice
from trainer_module.errors import PetsegError

_LOGGER: Final = logging.getLogger(__name__)
_NAME_OPTION: Final = "beam:option:job_name:v1"
_POLL_SECONDS: Final = 1.0
_NOTICE_SECONDS: Final = 15.0
_RPC_SECONDS: Final = 10.0
_CANCEL_SECONDS: Final = 30.0


class _Supervised(portable_runner.PortableRunner):
    """A runner whose job server ends with the job, whose job is canceled on an early end, and that waits in words."""

    _owned: OwnedJobServer | None = None
    _handle: portable_runner.JobServiceHandle | None = None

    def default_job_server(self, options: PipelineOptions) -> job_server.JobServer:
        server = super().default_job_server(options)
        started_by_beam = getattr(server, "_job_server", None)  # a StopOnExitJobServer around it
        if not isinstance(started_by_beam, job_server.SubprocessJobServer):
            return server
        self._owned = OwnedJobServer(started_by_beam)
        return self._owned

    def create_job_service_handle(self, job_service: Any, options: PipelineOptions) -> Any:
        self._handle = super().create_job_service_handle(job_service, options)
        return self._handle

    def run_portable_pipeline(self, pipeline: Any, options: PipelineOptions) -> runner.PipelineResult:
        cloud = options.view_as(GoogleCloudOptions)  # where Beam keeps the name of any job
        cloud.job_name = unique_name(cloud.job_name or "petseg")
        master = options.view_as(FlinkRunnerOptions).flink_master
        is_flink = isinstance(self, flink_runner.FlinkRunner) and master not in AUTO_MASTERS
        limit = options.view_as(PortableOptions).job_server_timeout
        progress = JobProgress(cloud.job_name, Flink(master) if is_flink else None, limit)
        try:
            result = super().run_portable_pipeline(pipeline, options)
        except BaseException:
            self._cancel_submitted(cloud.job_name)
            progress.end_on_flink()
            self._stop_server()
            raise
        return SupervisedResult(result, progress, self._stop_server)

    def _cancel_submitted(self, name: str) -> None:
        """Cancels what was submitted where the answer, which has the job's id, was not waited for."""
        if self._handle is None:
            return
        service = self._handle.job_service
        try:
            for job in service.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=_RPC_SECONDS).job_info:
                if job.pipeline_options.fields[_NAME_OPTION].string_value == name:
                    cancel_job(service, job.job_id)
        except grpc.RpcError as error:
            _LOGGER.warning("The job server does not say which jobs it has: %s", error)

    def _stop_server(self) -> None:
        if self._owned is not None:
            self._owned.stop()


class FlinkRunner(_Supervised, flink_runner.FlinkRunner):
    """Beam's runner on Flink."""


class SparkRunner(_Supervised, spark_runner.SparkRunner):
    """Beam's runner on Spark."""


class PortableRunner(_Supervised):
    """Beam's runner on a job server that is there already."""


class _Wait(NamedTuple):
    """What a job waits for."""

    what: str
    advice: str = "Look into the log of the run, where the job server's lines are"


class JobProgress:
    """Whether a job has begun to work: what it waits for is said until then, and not waited for without end."""

    def __init__(self, name: str, flink: Flink | None, limit_seconds: float) -> None:
        """Constructs it as the job starts.

        Args:
          name: Of the job, as Flink knows it.
          flink: Where it runs; None where it is not known, or not a Flink: then only the job server is asked.
          limit_seconds: How long it may wait.
        """
        self._name = name
        self._flink = flink
        self._limit_seconds = limit_seconds
        self._started = self._noticed = time.monotonic()
        self._has_begun = self._has_spoken = False

    def look(self, state: str) -> None:
        """Looks at the job every 15 seconds, and says what it waits for.

        Args:
          state: What the job server says of it.

        Raises:
          PetsegError: It has waited for too long.
        """
        now = time.monotonic()
        if self._has_begun or now - self._noticed < _NOTICE_SECONDS:
            return
        self._noticed = now
        wait = self._wait(state)
        if wait is None:
            self._has_begun = True
            self.be_silent()
            return
        seconds = round(now - self._started)
        if seconds >= self._limit_seconds:
            raise PetsegError(
                f"Beam's job {self._name} has not begun to work in {seconds} s, and is canceled: {wait.what}. "
                f"{wait.advice}. --job_server_timeout=SECONDS in pipeline.beam_args waits longer"
            )
        self._has_spoken = True
        notice(f"waiting since {seconds} s: {wait.what}")

    def be_silent(self) -> None:
        """Takes back what was said last."""
        if self._has_spoken:
            notice("")
            self._has_spoken = False

    def end_on_flink(self) -> None:
        """Has Flink cancel the job where it still runs it, and waits until it has; says so where it does not."""
        if self._flink is None:
            return
        deadline = time.monotonic() + _CANCEL_SECONDS
        try:
            job = self._flink.job(self._name)
            if job is not None and not job.has_ended:
                self._flink.cancel(job.id)
            while job is not None and not job.has_ended:
                if time.monotonic() > deadline:
                    notice(f"the job {self._name} is still {job.state} on {self._flink.url}; cancel it there")
                    return
                time.sleep(_POLL_SECONDS)
                job = self._flink.job(self._name)
        except FlinkError as error:
            notice(f"whether the job {self._name} still runs on {self._flink.url} is not known: {error}")

    def _wait(self, state: str) -> _Wait | None:
        """Returns what the job waits for; None when it works, as far as can be seen."""
        if self._flink is None:
            return None if state == runner.PipelineState.RUNNING else _Wait(f"the job server has the job as {state}")
        try:
            job = self._flink.job(self._name)
            if job is None:
                return _Wait(f"the job has not arrived at Flink ({self._flink.url})")
            return None if job.has_records else _wait_in_flink(job, self._flink)
        except FlinkError as error:
            return _Wait(f"Flink at {self._flink.url}: {error}")


def _wait_in_flink(job: FlinkJob, flink: Flink) -> _Wait:
    tasks = ", ".join(f"{number} {state}" for state, number in job.tasks.items())
    if job.waits_for_slots:
        slots = flink.slots()
        return _Wait(
            f"Flink has no slot for the job's tasks ({tasks}): {slots.free} of {slots.total} slots in "
            f"{slots.task_managers} task managers are free",
            "Start more task managers, raise taskmanager.numberOfTaskSlots, or lower --parallelism",
        )
    return _Wait(
        f"no worker of Beam has taken a record from the job's tasks ({tasks})",
        "A worker has to start with petseg's environment and to reach the task managers: the log of the worker pool "
        "(EXTERNAL) or of Flink's task managers says why none does",
    )


class SupervisedResult(runner.PipelineResult):
    """Beam's result of a job, which ends the job and its job server with the wait for it."""

    def __init__(self, result: Any, progress: JobProgress, stop_server: Any) -> None:
        super().__init__(runner.PipelineState.UNKNOWN)
        self._result = result
        self._progress = progress
        self._stop_server = stop_server

    @property
    def state(self) -> str:
        # Without asking the job server, which may be gone; Beam begins with a number.
        return str(self._result._state or runner.PipelineState.UNKNOWN)

    def metrics(self) -> Any:
        return self._result.metrics()

    def cancel(self) -> None:
        cancel_job(self._result._job_service, self._result._job_id)

    def wait_until_finish(self, duration: int | None = None) -> Any:
        """Waits for the job to end.

        Raises:
          PetsegError: It has not begun to work in time.
          RuntimeError: It failed, as Beam says.
        """
        waiting = _Waiting(self._result, duration)
        try:
            while not waiting.ended(_POLL_SECONDS):
                self._progress.look(self.state)
            return waiting.outcome()
        except BaseException:
            if not waiting.ended(0.0):
                self.cancel()
                waiting.ended(_CANCEL_SECONDS)
            self._progress.end_on_flink()
            raise
        finally:
            self._progress.be_silent()
            self._stop_server()


def unique_name(prefix: str) -> str:
    """Returns a name for a job that no other has."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def cancel_job(job_service: Any, job_id: str) -> None:
    """Has a job server cancel a job; where it does not, the log says so."""
    try:
        job_service.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job_id), timeout=_RPC_SECONDS)
    except grpc.RpcError as error:
        _LOGGER.warning("The job server did not cancel the job: %s", error)


class _Waiting:
    """Waits for Beam's result in a thread, so that the one it is made by can watch.

    A thread is not asked itself whether it has ended: when its `join` is interrupted, Python 3.11 takes it for ended.
    """

    def __init__(self, result: Any, duration: int | None) -> None:
        self._result = result
        self._duration = duration
        self._error: BaseException | None = None
        self._state: Any = None
        self._done = threading.Event()
        threading.Thread(target=self._wait, name="beam-job", daemon=True).start()

    def _wait(self) -> None:
        try:
            self._state = self._result.wait_until_finish(self._duration)
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            self._error = error
        finally:
            self._done.set()

    def ended(self, seconds: float) -> bool:
        """Returns whether the job has ended, after that time at the latest."""
        return self._done.wait(seconds)

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._state
