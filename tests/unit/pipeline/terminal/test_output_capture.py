"""Whatever writes to the terminal writes to a file instead, and no longer than asked."""

import os
import subprocess
import sys

import pytest

from pipeline.terminal.streams import captured_output


def test_descriptors_streams_and_children_are_captured_in_order(tmp_path, capfd):
    log = tmp_path / "run.log"
    log.write_text("before\n")
    with captured_output(log) as (stdout, stderr):
        os.write(1, b"descriptor 1\n")
        os.write(2, b"descriptor 2\n")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
        print("to the user", file=stdout)
        print("warning", file=stderr)
    os.write(1, b"after\n")
    assert log.read_text() == "before\ndescriptor 1\ndescriptor 2\nchild\n"
    assert capfd.readouterr() == ("to the user\nafter\n", "warning\n")


def test_the_terminal_comes_back_after_an_error(tmp_path, capfd):
    with pytest.raises(KeyboardInterrupt), captured_output(tmp_path / "log"):
        raise KeyboardInterrupt
    os.write(1, b"back\n")
    assert capfd.readouterr().out == "back\n"
    open_descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        with captured_output(tmp_path / "log"):
            pass
    assert len(os.listdir("/proc/self/fd")) == open_descriptors  # noqa: PTH208


def test_a_stream_that_someone_kept_never_writes_into_a_file_opened_later(tmp_path):
    with captured_output(tmp_path / "log") as (stdout, _):
        kept = stdout
    later = [(tmp_path / f"{number}").open("wb") for number in range(4)]  # one of them gets the number that is free now
    with pytest.raises(ValueError, match="closed file"):
        print("late", file=kept)
    for file in later:
        file.close()
    assert {file.read_bytes() for file in tmp_path.iterdir()} == {b""}
