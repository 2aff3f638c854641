"""The job server that Beam starts for a runner on Flink or Spark: a Java process that ends with the job it is for.

Beam's own way leaves it to an exit hook, which trips over the run's temporary directory when that is gone and leaves
the process running for good; and on Ctrl-C it stops the server first, with which the job could have been canceled. So
Beam names the command here, and petseg starts, watches and stops it.
"""

import logging
import os
import subprocess
import tempfile
import threading
from typing import Any, Final

import grpc
from apache_beam.portability.api import beam_job_api_pb2_grpc
from apache_beam.runners.portability import job_server

from petseg.processes import command
from pipeline.beam import bound_process
from trainer_module.errors import PetsegError

_LOGGER: Final = logging.getLogger(__name__)
_START_SECONDS: Final = 120
_STOP_SECONDS: Final = 10
_POLL_SECONDS: Final = 0.2
_SHOWN_LINES: Final = 5
_UNLIMITED: Final = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class OwnedJobServer(job_server.JobServer):
    """A job server of Beam's in a process of its own.

    The process belongs to no terminal, so that Ctrl-C there does not end it before the job is canceled; and it ends
    when this one is killed.
    """

    def __init__(self, server: job_server.SubprocessJobServer) -> None:
        self._server = server
        self._process: subprocess.Popen[str] | None = None
        self._channel: Any = None
        self._last_lines: list[str] = []
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> Any:
        """Starts the process, to be stopped whatever comes of it; returns Beam's stub of its job service.

        Raises:
          PetsegError: It ended, or does not answer.
        """
        _LOGGER.setLevel(logging.INFO)  # what a job server says belongs to the log, whatever else does
        self._temporary = tempfile.TemporaryDirectory(prefix="job-server-")
        self._server._local_temp_root = self._temporary.name  # where Beam has it put what is staged
        words, endpoint = self._server.subprocess_cmd_and_endpoint()
        _LOGGER.info("Starting the job server of Beam at %s: %s", endpoint, words)
        self._process = subprocess.Popen(
            command(bound_process.__name__, str(os.getpid()), *map(str, words)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            start_new_session=True,
        )
        threading.Thread(target=self._log, args=(self._process,), name="job-server-log", daemon=True).start()
        self._channel = grpc.insecure_channel(endpoint, options=_UNLIMITED)
        self._wait_until_ready(endpoint)
        return beam_job_api_pb2_grpc.JobServiceStub(self._channel)

    def stop(self) -> None:
        """Stops the process and waits until it is gone; does nothing where there is none."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _wait_until_ready(self, endpoint: str) -> None:
        ready = grpc.channel_ready_future(self._channel)
        for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
            try:
                ready.result(timeout=_POLL_SECONDS)
            except grpc.FutureTimeoutError:
                code = self._process.poll() if self._process else None
                if code is not None:
                    said = "; ".join(self._last_lines) or "nothing"
                    raise PetsegError(
                        f"the job server of Beam ended with {code} before it answered at {endpoint}. It said: {said}. "
                        "Is the jar of --flink_job_server_jar or --spark_job_server_jar one for this Java "
                        "(--job_server_java_launcher)?"
                    ) from None
            else:
                return
        raise PetsegError(f"the job server of Beam does not answer at {endpoint} after {_START_SECONDS} s; see the log")

    def _log(self, process: "subprocess.Popen[str]") -> None:
        """Passes what the process says on to the log, and keeps the last lines for a message."""
        for line in process.stdout or ():
            text = line.rstrip()
            _LOGGER.info("%s", text)
            self._last_lines = [*self._last_lines, text][-_SHOWN_LINES:]
