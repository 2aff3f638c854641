"""Processor, memory and clock, on machines and in containers that are made of files."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.config.loading import load_config
from pipeline.doctor import machine
from pipeline.doctor.findings import State
from pipeline.runs.store import RUN_ID_FORMAT, RunStore

GIB = 2**30


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A machine with 16 GiB of memory, without a control group that bounds anything."""
    for name in ("CPU_INFO", "MEMORY_INFO", "OWN_GROUP", "CONTROL_GROUPS"):
        monkeypatch.setattr(machine, name, tmp_path / name)
    (tmp_path / "MEMORY_INFO").write_text(f"MemTotal: {16 * 2**20} kB\nMemAvailable: {12 * 2**20} kB\n")
    (tmp_path / "OWN_GROUP").write_text("1:memory:/x\n0::/outer/inner\n")
    (tmp_path / "CONTROL_GROUPS" / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "CPU_INFO").write_text("processor: 0\nflags\t\t: fpu avx avx2 avx512f\n")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: range(8))
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "state", "said"),
    [
        ("fpu avx avx2 avx512f", State.OK, "8 cores; AVX-512"),
        ("fpu avx avx2", State.OK, "no AVX-512, with which trainings take a third of the time"),
        ("fpu avx", State.WARNING, "without AVX2"),
        ("fpu sse4_2", State.PROBLEM, "without AVX, which TensorFlow's wheels are built for"),
    ],
)
def test_the_instructions_that_tensorflow_needs_are_told(host, flags, state, said):
    (host / "CPU_INFO").write_text(f"flags : {flags}\n")
    found = machine.look_at_processor()
    assert found.state is state
    assert said in found.found


def test_another_architecture_is_a_problem(host, monkeypatch):
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    found = machine.look_at_processor()
    assert found.state is State.PROBLEM
    assert "aarch64" in found.found


def test_a_container_that_may_use_fewer_cores_is_told(host):
    (host / "CONTROL_GROUPS" / "outer" / "cpu.max").write_text("150000 100000\n")
    (host / "CONTROL_GROUPS" / "outer" / "inner" / "cpu.max").write_text("max 100000\n")
    assert "8 cores, of which this container may use 1.5" in machine.look_at_processor().found


def test_memory_is_what_could_be_had_now(host):
    found = machine.look_at_memory()
    assert (found.state, found.found) == (State.OK, "12.0 of 16.0 GiB available")


def test_the_tightest_bound_on_a_container_counts(host):
    (host / "CONTROL_GROUPS" / "outer" / "memory.max").write_text(f"{4 * GIB}\n")
    (host / "CONTROL_GROUPS" / "outer" / "inner" / "memory.max").write_text("max\n")
    (host / "CONTROL_GROUPS" / "outer" / "inner" / "memory.current").write_text(f"{GIB // 2}\n")
    found = machine.look_at_memory()
    assert (found.state, found.found) == (State.OK, "3.5 of 4.0 GiB that this container may use available")


def test_less_memory_than_the_demo_takes_is_a_warning(host):
    (host / "MEMORY_INFO").write_text(f"MemTotal: {16 * 2**20} kB\nMemAvailable: {2**20} kB\n")
    found = machine.look_at_memory()
    assert found.state is State.WARNING
    assert "1.0 of 16.0 GiB available; even the run of the demo takes 2.5" in found.found


@pytest.fixture
def timedatectl(tmp_path, monkeypatch):
    """Writes a program that says whether the clock is synchronized; without it there is none."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def write(script: str) -> None:
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "timedatectl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return write


@pytest.fixture
def config(tmp_path):
    return load_config(preset="demo", pipeline_root=str(tmp_path / "root"))


@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        ("echo yes", State.OK, "; synchronized"),
        ("echo no", State.WARNING, "not synchronized with a time server"),
        ("echo 'not booted with systemd' >&2; exit 1", State.OK, "nothing tells here"),
    ],
)
def test_whether_the_clock_is_synchronized(timedatectl, config, script, state, said):
    timedatectl(script)
    found = machine.look_at_clock(config)
    assert found.state is state
    assert said in found.found


def test_a_machine_without_systemd_tells_the_time_alone(timedatectl, config):
    assert "nothing tells here whether it is synchronized" in machine.look_at_clock(config).found


def test_a_run_in_the_future_says_that_a_clock_was_set_back(timedatectl, config):
    started = datetime.now(UTC) + timedelta(days=2)
    store = RunStore(config.pipeline.root)
    (store.create_run(started.strftime(RUN_ID_FORMAT)).directory / "run.json").write_text("{}")
    found = machine.look_at_clock(config)
    assert found.state is State.PROBLEM
    assert f"started at {started.astimezone():%Y-%m-%d %H:%M}" in found.found
    assert "timedatectl set-ntp true" in found.remedy


def test_a_machine_that_tells_nothing_of_itself_is_no_failure(host):
    for name in ("CPU_INFO", "OWN_GROUP"):
        (host / name).unlink()
    assert machine.look_at_processor().state is State.OK
    assert machine.look_at_memory().state is State.OK
