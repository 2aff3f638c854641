"""What a process does that `forked_processes` forks: it becomes what was asked for, and runs a module of petseg's."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection


def run_module(
    arguments: list[str],
    environment: dict[str, str],
    directory: str,
    streams: list[Connection | None],
    new_session: bool,
    prepare: Callable[[], None] | None,
) -> None:
    if new_session:
        os.setsid()
    for descriptor, stream in enumerate(streams):
        if stream is not None:
            os.dup2(stream.fileno(), descriptor)
    # Those that were inherited still know what kind of file they wrote to.
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    os.chdir(directory)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = ["run_module.py", *arguments]
    if prepare is not None:
        prepare()
    from petseg.run_module import main

    main()
