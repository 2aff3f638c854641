"""The machine: processor, memory and clock.

Containers see the whole machine in most places and have less of it, which the files of their control group tell.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pipeline.config.schema import Config
from pipeline.doctor.findings import Finding, ok, problem, warning
from pipeline.runs.record import cpu_name
from pipeline.runs.store import RUN_ID_FORMAT, RunStore
from trainer_module.errors import PetsegError

LEAST_MEMORY_BYTES: Final = 5 * 2**29
"""What `petseg run --preset demo` takes at its peak (docs/doctor.md); other networks and larger images take more."""

CPU_INFO: Final = Path("/proc/cpuinfo")
MEMORY_INFO: Final = Path("/proc/meminfo")
CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
OWN_GROUP: Final = Path("/proc/self/cgroup")

_ARCHITECTURE: Final = "x86_64"
_UNLIMITED: Final = "max"
_SECONDS: Final = 10
_AHEAD: Final = timedelta(minutes=5)


def look_at_processor() -> Finding:
    """Tells cores, as far as this process may use them, and the instructions that TensorFlow needs or is quicker by."""
    name, cores = cpu_name(), len(os.sched_getaffinity(0))
    if (machine := platform.machine()) != _ARCHITECTURE:
        return problem(
            "processor", f"{name}: {machine}", f"use a machine of {_ARCHITECTURE}: ml-metadata has no wheels for others"
        )
    quota = _core_quota()
    share = f", of which this container may use {quota:g}" if quota is not None and quota < cores else ""
    has = f"{name}, {cores} core{'s' if cores > 1 else ''}{share}"
    flags = _processor_flags()
    if not flags:
        return ok("processor", has)
    if "avx" not in flags:
        return problem(
            "processor",
            f"{has}; without AVX, which TensorFlow's wheels are built for",
            "use another machine; a virtual one may only hide it: have it see its host's processor (CPU type 'host')",
        )
    if "avx2" not in flags:
        return warning(
            "processor",
            f"{has}; without AVX2: trainings take several times as long",
            "use another machine; a virtual one may only hide it: have it see its host's processor (CPU type 'host')",
        )
    if "avx512f" not in flags:
        return ok("processor", f"{has}; AVX2, but no AVX-512, with which trainings take a third of the time")
    return ok("processor", f"{has}; AVX-512")


def look_at_memory() -> Finding:
    """Tells how much memory there is, and how much of it could be had now."""
    total, available = _memory("MemTotal"), _memory("MemAvailable")
    limit = _memory_limit()
    of = f"{_gib(total)} GiB"
    if limit is not None and limit[0] < total:
        of = f"{_gib(limit[0])} GiB that this container may use"
        available = min(available, limit[0] - limit[1])
    found = f"{_gib(available)} of {of} available"
    if available < LEAST_MEMORY_BYTES:
        return warning(
            "memory",
            f"{found}; even the run of the demo takes {_gib(LEAST_MEMORY_BYTES)}",
            "end what uses it, give the container more, or make trainer.batch_size and data.image_size smaller",
        )
    return ok("memory", found)


def look_at_clock(config: Config) -> Finding:
    """Tells the time zone, whether the clock is kept right, and whether it has been set back since the last run."""
    now = datetime.now().astimezone()
    found = f"{now:%Y-%m-%d %H:%M %Z (%z)}"
    root = config.pipeline.root
    latest = _latest_start(root)
    if latest is not None and latest > now + _AHEAD:
        return problem(
            "clock",
            f"{found}, and the latest run under {root!r} started at {latest.astimezone():%Y-%m-%d %H:%M}: one of "
            "the two clocks was wrong",
            "set the clock: timedatectl set-ntp true; schedules fire by it, and runs are listed by their start",
        )
    synchronized = _is_synchronized()
    if synchronized is None:
        return ok("clock", f"{found}; nothing tells here whether it is synchronized")
    if not synchronized:
        return warning("clock", f"{found}; not synchronized with a time server", "timedatectl set-ntp true")
    return ok("clock", f"{found}; synchronized")


def _processor_flags() -> frozenset[str]:
    """Returns the features of the first core; none where Linux does not tell."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())


def _core_quota() -> float | None:
    """Returns how many cores' time the control group may use; None where it is not bounded."""
    quotas = []
    for text in _of_control_groups("cpu.max"):
        quota, _, period = text.partition(" ")
        if quota != _UNLIMITED:
            quotas.append(int(quota) / int(period or 100_000))
    return min(quotas, default=None)


def _memory_limit() -> tuple[int, int] | None:
    """Returns the tightest bound on the memory of the control group and what it uses, in bytes; None without one."""
    limits = [int(text) for text in _of_control_groups("memory.max") if text != _UNLIMITED]
    if not limits:
        return None
    used = next((int(text) for text in _of_control_groups("memory.current")), 0)
    return min(limits), used


def _of_control_groups(file: str) -> Iterator[str]:
    """Yields what a file says in the process's control group (version 2), and in those that it is within."""
    try:
        lines = OWN_GROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    own = next((line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")), None)
    if own is None:
        return
    place = CONTROL_GROUPS / own
    while place.is_relative_to(CONTROL_GROUPS):
        with suppress(OSError):  # the root has none
            yield (place / file).read_text(encoding="utf-8").strip()
        place = place.parent


def _memory(name: str) -> int:
    """Returns a number of /proc/meminfo in bytes."""
    for line in MEMORY_INFO.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise LookupError(f"{MEMORY_INFO} has no {name}")


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"


def _latest_start(root: str) -> datetime | None:
    """Returns when the latest run of a pipeline root started, by its id; None where there is none, or none is seen."""
    with suppress(PetsegError, OSError, ValueError):
        for run_id in RunStore(root).run_ids()[:1]:
            return datetime.strptime(run_id, RUN_ID_FORMAT).replace(tzinfo=UTC)
    return None


def _is_synchronized() -> bool | None:
    """Returns what systemd says of the clock; None where there is no systemd that does."""
    if shutil.which("timedatectl") is None:
        return None
    ended = subprocess.run(
        ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return {"yes": True, "no": False}.get(ended.stdout.strip()) if ended.returncode == 0 else None
