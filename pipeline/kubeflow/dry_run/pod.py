"""The process that stands for a pod: its environment, and how it ends.

The environment is what the specification and the platform document name, plus what any process of this machine needs to
start: where programs, libraries and certificates are, locale, proxies, and which devices there are. Nothing else of the
caller's environment gets in, and HOME is an empty directory, so that a component that leans on them fails here as it
would in a cluster. Secrets come from variables of the same name; their values are passed on and written nowhere.

A pod does not outlive the dry-run, however that ends: beside each one a shell waits at a pipe, which the kernel closes
with the process that holds its other end, and then kills all processes of the pod.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from petseg.processes import CERTIFICATES, PROXIES
from pipeline.kubeflow.attempts import RETRY_INDEX_VARIABLE, RETRY_VARIABLE
from pipeline.kubeflow.dry_run.artifacts import Mounts
from pipeline.kubeflow.dry_run.specification import Task
from pipeline.kubeflow.lint import MAX_ARGUMENT_BYTES
from pipeline.kubeflow.pod_output import LAUNCHER_ROOT_VARIABLE
from pipeline.nodes import TRAINER
from pipeline.runs.progress import PROGRESS_FILE_VARIABLE
from pipeline.terminal.streams import TERMINATED
from trainer_module.errors import PetsegError

_PYTHON: Final = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
_OF_THIS_MACHINE: Final = frozenset(("PATH", "LANG", "TZ", *_PYTHON, *CERTIFICATES, *PROXIES))
_OF_THIS_MACHINE_BY_PREFIX: Final = ("LC_", "LD_", "TF_", "CUDA_", "NVIDIA_", "ONEDNN_", "XLA_", "OMP_")
_MAX_BACKOFF_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 30.0
"""What Kubernetes leaves a pod between SIGTERM and SIGKILL."""

_FROM_OUTSIDE: Final = (signal.SIGKILL, signal.SIGTERM)
"""What ends a pod that is lost; other signals are of its own making."""

_EXPLANATION: Final = re.compile(r"^petseg [\d:]+ \S+: failed: (.*)\Z", re.DOTALL | re.MULTILINE)
"""The last line of the entrypoint."""

_TYPE_OF_EXCEPTION: Final = re.compile(r"[\w.]+(?:Error|Exception|Interrupt|Exit)\b: ")
_TRACEBACK: Final = "Traceback (most recent call last)"

_WATCH: Final = 'read group && { read _; kill -9 "-$group"; }'
"""For a shell: kills the group of processes that its standard input names when that is closed."""


class PodFailedError(Exception):
    """The pod ended with an exception that nobody foresaw; the message is what it wrote, the traceback included."""


class PodLostError(PetsegError):
    """The pod was ended from outside, as one is whose node goes away; the server starts it again."""


class DeadlineExceededError(PetsegError):
    """The pod lived longer than its deadline."""


def missing_secrets(tasks: list[Task]) -> list[str]:
    """Returns the variables that pods take from secrets and that the caller's environment has not."""
    return sorted({name for task in tasks for name in secret_variables(task) if name not in os.environ})


def secret_variables(task: Task) -> list[str]:
    """Returns the environment variables that a task takes from secrets."""
    return [key.env_var for secret in task.kubernetes.secret_as_env for key in secret.key_to_env]


def pod_environment(task: Task, home: Path, launcher_root: Path, mounts: Mounts, attempt: int) -> dict[str, str]:
    """Returns the environment of a task's process.

    Args:
      task: The task.
      home: Its home, and its place for temporary files.
      launcher_root: Directory that stands for the root of the pod's files.
      mounts: Where paths of the pod are on this machine.
      attempt: How many pods the task had before.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in _OF_THIS_MACHINE or name.startswith(_OF_THIS_MACHINE_BY_PREFIX)
    }
    environment |= {variable.name: mounts.local(variable.value) for variable in task.container.env}
    environment |= {name: os.environ[name] for name in secret_variables(task) if name in os.environ}
    environment |= {"HOME": str(home), "TMPDIR": str(home), LAUNCHER_ROOT_VARIABLE: str(launcher_root)}
    environment[RETRY_INDEX_VARIABLE] = str(attempt)
    if RETRY_VARIABLE in environment:
        environment[RETRY_VARIABLE] = _with_short_pauses(environment[RETRY_VARIABLE])
    if task.id == TRAINER and PROGRESS_FILE_VARIABLE in os.environ:
        environment[PROGRESS_FILE_VARIABLE] = os.environ[PROGRESS_FILE_VARIABLE]
    return environment


def _with_short_pauses(retry: str) -> str:
    """Returns the settings of the tries in a pod with pauses of a second at most."""
    return json.dumps(json.loads(retry) | {"backoff_max_seconds": int(_MAX_BACKOFF_SECONDS)})


def check_arguments(command: list[str]) -> None:
    """Checks that Linux would start the command.

    Raises:
      PetsegError: An argument is too long.
    """
    longest = max(len(argument.encode()) for argument in command) + 1
    if longest > MAX_ARGUMENT_BYTES:
        raise PetsegError(
            f"an argument of the container has {longest:,} bytes, and Linux starts no process with more than "
            f"{MAX_ARGUMENT_BYTES:,}; make the settings of the component smaller"
        )


class PodProcess:
    """Runs one command in a group of processes of its own, which ends with it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self,
        command: list[str],
        environment: dict[str, str],
        directory: Path,
        deadline: float | None,
        executor_log: BinaryIO,
    ) -> None:
        """Runs the command to its end; what it writes goes to the end of the log.

        Args:
          command: A leading `python` is the interpreter that this process runs on.
          environment: All of it.
          directory: Where it runs.
          deadline: Seconds it may take; None for no limit.
          executor_log: Gets what the command wrote, when it has ended, however it did.

        Raises:
          DeadlineExceededError: It took longer, and was ended.
          PetsegError: It cannot be started, or ended with an error.
          PodLostError: It was ended from outside.
          PodFailedError: It ended with an exception that nobody foresaw.
        """
        if command[0] in ("python", "python3"):
            command = [sys.executable, *command[1:]]
        with self._log.open("ab") as log, _watcher() as watcher:
            start = log.tell()
            try:
                self._process = subprocess.Popen(
                    command,
                    env=environment,
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise PetsegError(f"cannot start {command[0]!r}: {error.strerror}") from error
            try:
                watcher.write(b"%d\n" % self._process.pid)
                code = self._process.wait(deadline)
            except subprocess.TimeoutExpired as error:
                raise DeadlineExceededError(f"the pod was ended after its deadline of {deadline:g} s") from error
            finally:
                self._end()
                with self._log.open("rb") as written:
                    written.seek(start)
                    shutil.copyfileobj(written, executor_log)
        if code:
            raise end_of_pod(code, written_since(self._log, start))

    def kill(self) -> None:
        """Ends the process at once; safe to call from another thread."""
        self._signal(signal.SIGKILL)

    def _end(self) -> None:
        """Ends what is left of the group, as the end of a pod ends all its processes."""
        process = self._process
        if process is not None and process.poll() is None:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        if process is not None:
            process.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


@contextmanager
def _watcher() -> Iterator[IO[bytes]]:
    """Yields what to write the number of a group to that is not to outlive this process, while the block runs."""
    watcher = subprocess.Popen(["/bin/sh", "-c", _WATCH], stdin=subprocess.PIPE, bufsize=0, start_new_session=True)
    try:
        yield cast(IO[bytes], watcher.stdin)
    finally:
        watcher.kill()
        watcher.communicate()


def written_since(log: Path, start: int) -> str:
    """Returns what was appended to a log after its first `start` bytes."""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def end_of_pod(code: int | None, written: str) -> Exception:
    """Returns the error that says why a pod failed.

    Args:
      code: Its exit code, negative for a signal; None when it is not known.
      written: What it wrote.
    """
    if code is not None and (code < 0 or code == TERMINATED):
        return _end_by_signal(signal.Signals(-code if code < 0 else signal.SIGTERM))
    explained = _EXPLANATION.search(written)
    if explained and not _TYPE_OF_EXCEPTION.match(explained[1]):
        return PetsegError(explained[1].strip())
    said = written[: explained.start()] if explained else written
    if _TRACEBACK in said:
        return PodFailedError(said.strip())
    ended = "the pod failed" if code is None else f"the pod ended with exit code {code}"
    last_line = said.strip().rpartition("\n")[2]
    return PetsegError(f"{ended}; its last words: {last_line}" if last_line else ended)


def _end_by_signal(number: signal.Signals) -> PetsegError:
    hint = "" if number is signal.SIGTERM else "; it may have run out of memory"
    error_type = PodLostError if number in _FROM_OUTSIDE else PetsegError
    return error_type(f"the pod was ended by {number.name}{hint}")


def sleep_before_retry(task: Task, attempt: int, notice: Callable[[str], None]) -> None:
    """Waits after a lost pod as the retry policy says, but a second at most: here no node has to come back."""
    policy = task.spec.retry_policy
    wanted = policy.backoff_duration.seconds * max(policy.backoff_factor, 1.0) ** (attempt - 1)
    seconds = min(wanted, policy.backoff_max_duration.seconds or wanted, _MAX_BACKOFF_SECONDS)
    notice(f"{task.id}: pod {attempt} of {policy.max_retry_count + 1} was lost, the next starts in {seconds:g} s")
    time.sleep(seconds)
