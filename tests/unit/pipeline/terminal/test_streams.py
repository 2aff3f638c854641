"""What is written reaches whoever reads it, in what their stream can encode, and nobody fails when they leave."""

import json
import os
import pty
import select
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from petseg.processes import command as petseg_process
from pipeline.cli import exit_code
from pipeline.config.loading import load_config
from pipeline.runs.record import NodeRecord, NodeState, RunRecord, RunState
from pipeline.runs.store import RunStore
from pipeline.terminal.streams import ENCODING_ERRORS, LastingStream, captured_output, lasting, printable

PETSEG = [sys.executable, "-c", "from pipeline.cli import main; main()"]
NAME = "Zürich 草 [final]"

RUN = """
import sys, threading
from pipeline import cli
from pipeline.config.loading import load_config
from pipeline.report.page import write_report
from pipeline.runs.session import RecordedRun, record_run
from pipeline.runs.record import NodeRecord, NodeState, RunRecord
from pipeline.runs.store import RunStore

class Run(RecordedRun):
    def _run(self):
        self._record.nodes = [NodeRecord(id="A"), NodeRecord(id="B")]
        self.node_started("A")
        for _ in range(3000):
            self._display.notice("x" * 100)  # more than a pipe holds
        if "--set" in sys.argv:
            threading.Event().wait(60)
        self.node_finished("A", NodeState.COMPLETE, {})
        self.node_started("B")
        self.node_finished("B", NodeState.COMPLETE, {})

    def _tidy(self):
        pass

    def _write_report(self, *, with_pictures):
        return write_report(self._record, self._files.directory, with_pictures=with_pictures).page

def run_pipeline(config, request):
    store = RunStore(config.pipeline.root)
    record = lambda run_id, files: RunRecord.begin(run_id, config, files.log)
    return record_run(store, lambda run_id, files: Run(
        store, files, record(run_id, files), show_on_stderr=request.show_on_stderr))

import pipeline.local.runner
pipeline.local.runner.run_pipeline = run_pipeline
cli.main()
"""


def run_command(root: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-c", RUN, "run", "--preset", "demo", "--pipeline-root", str(root), *arguments]


def log_of(root: Path) -> str:
    return Path(RunStore(root).record("latest").log).read_text()


def redirected(command: list[str], redirection: str) -> subprocess.CompletedProcess:
    """Runs a command as a shell does that is told to redirect or close its streams."""
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command]
    return subprocess.run(shell, capture_output=True, check=False)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    files = RunStore(root).create_run("x")
    record = RunRecord.begin("x", load_config(preset="demo"), files.log)
    record.nodes = [NodeRecord(id="A", state=NodeState.COMPLETE, summary=NAME)]
    record.metrics = {"accuracy": 0.9}
    record.pushed_model = f"{root}/{NAME}/\x1b[31m\nforged"
    record.finish(RunState.FAILED, f"expected ≥ 1, got {NAME}\x1b[2J")
    record.save(files.record)
    return root


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("utf-8", "ü ≥ 草 …"), ("latin-1", "ü >= \\u8349 ..."), ("ascii", "\\u00fc >= \\u8349 ...")],
)
def test_what_an_encoding_lacks_is_written_in_other_words(encoding, written):
    assert "ü ≥ 草 …".encode(encoding, ENCODING_ERRORS).decode(encoding) == written


def test_control_characters_are_written_as_escapes():
    assert printable("a\x1b[31m\nb\r\x7f\x9b[最\t") == "a\\x1b[31m\\nb\\r\\x7f\\x9b[最\\t"
    assert printable("a\x1b\n\tb\r", keep_lines=True) == "a\\x1b\n\tb\\r"


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_every_encoding_gets_tables_and_valid_json(environment, root):
    config = root / "config.toml"
    config.write_text(f'preset = "demo"\n[kubeflow]\nexperiment = "{NAME}"\n', encoding="utf-8")
    code = (
        "import json, sys\nfrom pipeline.cli import exit_code\n"
        "for command in sys.argv[1:]:\n    assert exit_code(json.loads(command)) == 0\n    print('=' * 9)\n"
    )
    directory = ["--pipeline-root", str(root)]
    commands = [["runs", *directory], ["runs", "show", *directory], ["show-config", "--config", str(config)]]
    commands += [[*command, "--json"] for command in commands]
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(json.dumps, commands)],
        capture_output=True,
        check=False,
        env=os.environ | environment,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    listed, shown, toml, *as_json = ended.stdout.decode("latin-1").split("=" * 9)
    assert "failed" in listed
    assert "\\u8349 [final]" in shown
    assert "expected >= 1" in shown
    assert tomllib.loads(toml)["kubeflow"]["experiment"] == NAME
    assert all("草" in str(json.loads(text)) for text in as_json[:3])


def test_names_do_not_move_the_cursor_or_forge_lines(root, capsys):
    assert exit_code(["runs", "show", "--pipeline-root", str(root)]) == 0
    shown = capsys.readouterr().out
    assert f"pushed: {root}/{NAME}/\\x1b[31m\\nforged" in shown.splitlines()
    assert "\x1b" not in shown
    assert exit_code(["predict", "--model", "x\x1b[2J", "--out", str(root / "out"), "x"]) != 0
    assert "\x1b" not in capsys.readouterr().err


def test_what_was_closed_at_the_start_is_not_what_is_opened_next(tmp_path):
    code = (
        "import os, sys\nfrom pipeline.terminal.streams import prepare_standard_streams\nprepare_standard_streams()\n"
        "file = open(sys.argv[1], 'wb')\nos.write(1, b'lost')\nos.write(2, b'lost')\nprint('lost')\n"
        "assert sys.stdin.read() == ''\nprint('lost', file=sys.stderr)\n"
    )
    ended = redirected([sys.executable, "-c", code, str(tmp_path / "file")], "<&- >&- 2>&-")
    assert ended.returncode == 0
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize(
    ("redirection", "lost"),
    [
        ("2>&-", ["standard error"]),
        ("<&- >&-", ["standard output"]),
        ("<&- >&- 2>&-", ["standard output", "standard error"]),
    ],
)
def test_a_run_goes_on_without_streams_and_says_why_in_its_log(redirection, lost, tmp_path):
    ended = redirected(run_command(tmp_path), redirection)
    assert ended.returncode == 0, ended.stderr
    assert RunStore(tmp_path).record("latest").state is RunState.COMPLETE
    log = log_of(tmp_path)
    for name in ("standard output", "standard error"):
        said = f"Nothing can be shown on {name}: it was closed when petseg started. The run goes on without it."
        assert (said in log) is (name in lost)
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_run_goes_on_when_its_reader_leaves(arguments, tmp_path):
    command = run_command(tmp_path, *arguments)
    stream = "stderr" if arguments else "stdout"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        getattr(process, stream).readline()
        getattr(process, stream).close()
        if arguments:
            process.stdout.close()
        assert process.wait(timeout=60) == 0
    assert RunStore(tmp_path).record("latest").state is RunState.COMPLETE
    name = "standard error" if arguments else "standard output"
    assert f"Nothing can be shown on {name}: its reader has left." in log_of(tmp_path)


def test_a_run_whose_terminal_hangs_up_ends_as_interrupted(tmp_path):
    command = run_command(tmp_path, "--set", "trainer.epochs=2")
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(command[0], command)
    seen = b""
    while b"running" not in seen:
        assert select.select([terminal], [], [], 60)[0], seen
        seen += os.read(terminal, 65536)
    os.close(terminal)  # the kernel sends SIGHUP, and from now on writing to the terminal fails
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    record = RunStore(tmp_path).record("latest")
    assert (record.state, record.error) == (RunState.INTERRUPTED, "interrupted in A")
    assert not RunStore(tmp_path).temporary_dir.exists()


def test_a_short_command_whose_reader_left_ends_quietly(root):
    reader, writer = os.pipe()
    os.close(reader)
    for command in (["runs", "show", "--pipeline-root", str(root)], ["--help"]):
        ended = subprocess.run([*PETSEG, *command], stdout=writer, stderr=subprocess.PIPE, check=False)
        assert (ended.returncode, ended.stderr) == (1, b"")
    os.close(writer)


def test_what_nobody_reads_on_standard_error_changes_no_exit_code():
    reader, writer = os.pipe()
    os.close(reader)
    for command, code in (("rnu", 2), ("run --set trainer.epochs=0", 2), ("show-config", 0)):
        ended = subprocess.run([*PETSEG, *command.split()], stdout=subprocess.PIPE, stderr=writer, check=False)
        assert ended.returncode == code
    os.close(writer)


def test_a_stream_drops_what_nobody_reads_and_tells_it_once():
    reader, writer = os.pipe()
    told: list[str] = []
    with LastingStream(writer, sys.__stdout__) as stream:
        stream.watch(told.append)
        stream.write("read\n")
        assert os.read(reader, 100) == b"read\n"
        os.close(reader)
        for _ in range(3):
            assert stream.write("unread\n") == 7
            stream.flush()
    assert told == ["its reader has left"]


def test_what_follows_the_capture_is_dropped_like_what_was_captured(tmp_path):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom pipeline.terminal.streams import captured_output\n"
        "with captured_output(Path(sys.argv[1])) as (stdout, _):\n    print('unread', file=stdout)\n"
        "print('unread', flush=True)\nos.write(1, b'unread')\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log")], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_stream_in_memory_has_no_reader_that_leaves(capsys):
    assert lasting(sys.stdout) is sys.stdout


def test_the_captured_terminal_has_the_encoding_of_the_real_one(tmp_path):
    with captured_output(tmp_path / "log") as (stdout, stderr):
        assert (stdout.encoding, stderr.encoding) == (sys.stdout.encoding, sys.stderr.encoding)
        assert stdout.errors == ENCODING_ERRORS


AGAIN = """
import atexit, json, os, sys, threading
from pipeline.terminal.streams import start_anew

def main(arguments):
    state = {"arguments": arguments, "pid": os.getpid(), "changed": os.environ.get("CHANGED")}
    state["threads"] = threading.active_count()
    state["descriptors"] = sorted(os.listdir("/proc/self/fd"))
    print(json.dumps(state), end=" ")
    if os.environ.get("AGAIN"):
        return 7
    environment = dict(os.environ)
    os.environ["CHANGED"] = "by the first"
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)
    atexit.register(print, "tidied up")
    start_anew(environment | {"AGAIN": "1"})
"""


def test_a_process_that_starts_anew_keeps_its_id_command_and_streams_and_nothing_else(tmp_path):
    (tmp_path / "again.py").write_text(AGAIN)
    command = petseg_process("again", "--text", "ü {'a': \"b\"}")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")
    first, second = done.stdout.split("tidied up\n")
    assert json.loads(first) == json.loads(second)
