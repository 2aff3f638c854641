"""Processes of petseg's own that start at once: forked from one that has the libraries loaded.

A process that trains, evaluates or serves loads TensorFlow and TFX first, which takes 9 to 17 s of processor time. In
place of `subprocess.Popen`, the class here forks such a process where petseg starts one as `petseg.processes.command`
says; all others it starts as ever. What is forked has the arguments, environment, directory and streams that were asked
for, and petseg's modules, which it imports itself; the libraries alone it finds loaded. So a fork proves what a
process of its own does, but for the start itself, which other tests see to.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import util
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

import forked_child
import pytest

from petseg.processes import OPTIONS

LIBRARIES = (
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tensorflow_transform.beam",
    "tfx.v1",
)
"""None of petseg's own modules."""

_START = [sys.executable, *OPTIONS]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*LIBRARIES])
util.get_temp_dir()  # now, and not in a run, whose temporary files end with it


class Popen(subprocess.Popen):
    """Python's own, but for the children that are forked."""

    _process: ForkServerProcess | None = None
    _started_anew: str | None = None
    _prepare: Callable[[], None] | None = None

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others) -> None:
        if not isinstance(args, list) or args[: len(_START)] != _START or self._is_started_anew(args):
            super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others)
            return
        _, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *_, new_session, _ = others
        streams = [None if fd == -1 else Connection(os.dup(fd)) for fd in (p2cread, c2pwrite, errwrite)]
        self._process = _context.Process(
            target=forked_child.run_module,
            args=(
                args[len(_START) :],
                dict(os.environ if env is None else env),
                str(cwd or "."),
                streams,
                new_session,
                type(self)._prepare,
            ),
            daemon=True,
        )
        self._process.start()
        for stream in filter(None, streams):
            stream.close()
        self.pid, self._child_created = self._process.pid, True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _is_started_anew(self, args: list[str]) -> bool:
        return self._started_anew is not None and any(self._started_anew in argument for argument in args)

    def _internal_poll(self, *args: Any, **kwargs: Any) -> int | None:
        if self._process is None:
            return super()._internal_poll(*args, **kwargs)
        if self.returncode is None:
            self.returncode = self._process.exitcode
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self._process is None:
            return super()._wait(timeout)
        self._process.join(timeout)
        if self._internal_poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode


@contextmanager
def forked_processes(but: str | None = None, prepare: Callable[[], None] | None = None) -> Iterator[None]:
    """Has petseg fork its processes.

    Args:
      but: Processes with this text in an argument start anew.
      prepare: What a fork calls first; a function of a module in `tests`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Popen, "_prepare", prepare)
        patch.setattr(Popen, "_started_anew", but)
        patch.setattr(subprocess, "Popen", Popen)
        yield
