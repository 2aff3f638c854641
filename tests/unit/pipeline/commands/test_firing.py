"""A firing that only looks: what it finds missing, which variables the user's own code asks for; and one that runs."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.retraining_decider.decision import Decision
from pipeline.commands import firing
from pipeline.commands.firing import asked_variables, check_firing
from pipeline.commands.options import FiredRun
from pipeline.config.loading import load_config
from pipeline.runs.record import NodeRecord, NodeState, RunRecord
from pipeline.runs.store import RootInUseError
from pipeline.schedules.environment import Verdict
from pipeline.schedules.firings import FiringRecord
from trainer_module.errors import PetsegError

MODULES = "--set=data.builder_modules=[{}'components.datasets.synthetic_pets']"
ASKS = """
import os
PLACE = os.environ.get("OWN_TILES")
os.getenv("OWN_OTHER")
"OWN_THIRD" in os.environ
os.path.expandvars("$OWN_FOURTH")
"""

FIRES = """
import sys, time
from pathlib import Path
from pipeline.commands import firing
from pipeline.runs.store import RunStore

name, root = sys.argv[1:]

def petseg_run(fired):
    time.sleep(0.5)  # as it imports its libraries
    with RunStore(root).lock("20270101-000000-000000"):
        print("the run itself", flush=True)
        time.sleep(2)
    return 0

print("ready", flush=True)
sys.stdin.readline()
sys.exit(firing._fire(name, Path(root), root, petseg_run))
"""


def end_with(code: int, fired: FiredRun, error: PetsegError | None = None) -> int:
    """Stands for a run."""
    fired.config, fired.error = load_config(preset="demo"), error
    return code


@pytest.fixture
def own_builder(tmp_path, monkeypatch):
    """A module of the user's, on Python's path."""
    directory = tmp_path / "modules"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    yield directory / "own_builder.py"
    sys.modules.pop("own_builder", None)


@pytest.fixture
def verdict(tmp_path, monkeypatch):
    """What a firing finds that stands in this process."""
    monkeypatch.chdir(tmp_path)

    def found(*arguments: str, directory: Path = tmp_path, command="run") -> Verdict:
        root = tmp_path / "root"
        given = ["--preset=demo", f"--pipeline-root={root}", *arguments]
        check_firing(tmp_path / "verdict", directory, str(root), given, command)
        return Verdict.model_validate_json((tmp_path / "verdict").read_bytes())

    return found


@pytest.mark.parametrize("command", ["run", "retrain"])
def test_what_is_there_is_enough_and_nothing_is_run(verdict, tmp_path, command):
    assert verdict(command=command) == Verdict()
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--set=trainer.epoch=3"], "did you mean 'trainer.epochs'?"),
        (["--config=gone.toml"], "gone.toml"),
        ([MODULES.format("'own_builder', ")], "cannot import 'own_builder': No module named 'own_builder'"),
        (["--set=data.dataset=synthetic_pet"], "knows no data set 'synthetic_pet'"),
        (["--set=data.image_feature=photo"], "feature 'photo' of synthetic_pets"),
        (["--set=data.download=false"], "is not prepared in"),
        (["--set=data.data_dir=file/inside"], "data.data_dir: cannot write to 'file/inside'"),
        (["--set=push.destination=file/inside"], "push.destination: cannot write to 'file/inside'"),
    ],
)
def test_what_is_missing_is_said(verdict, arguments, error, tmp_path):
    (tmp_path / "file").touch()
    assert error in verdict(*arguments).error


def test_a_working_directory_that_is_gone_is_named(verdict, tmp_path):
    assert f"No such file or directory: {str(tmp_path / 'gone')!r}" in verdict(directory=tmp_path / "gone").error


def test_a_builder_that_breaks_is_told_in_its_own_words(verdict, own_builder):
    own_builder.write_text("raise KeyError('TILES')")
    assert verdict(MODULES.format("'own_builder', ")).error == "KeyError: 'TILES'"


def test_the_variables_that_the_users_code_asks_for_are_known(verdict, own_builder, monkeypatch):
    own_builder.write_text(ASKS)
    monkeypatch.setenv("OWN_OTHER", "set")
    assert verdict(MODULES.format("'own_builder', ")).asked == ("OWN_FOURTH", "OWN_THIRD", "OWN_TILES")


def test_looking_up_works_as_before():
    get = type(os.environ).__getitem__
    with asked_variables() as asked, pytest.raises(KeyError):
        os.environ["PETSEG_NO_SUCH"]
    assert asked == {"PETSEG_NO_SUCH"}
    assert type(os.environ).__getitem__ is get


class TestRuns:
    """Firings whose run is a stand-in that holds the pipeline root."""

    @pytest.fixture
    def root(self, tmp_path) -> Path:
        root = tmp_path / "root"
        root.mkdir()
        return root

    @pytest.fixture
    def fire(self, root, monkeypatch):
        """Fires in this process; the log is no file."""
        monkeypatch.setattr(firing, "FiringLog", lambda *_: SimpleNamespace(write=print, last_error=lambda: ""))
        monkeypatch.setattr(firing, "housekeeping", lambda config, _: [f"cleaned by {config.pipeline.name}"])
        monkeypatch.chdir(root)
        resolve = partial(load_config, preset="demo")
        return lambda run: firing._fire("nightly", root, str(root), run, resolve)

    @pytest.mark.parametrize("code", [0, 1, 3])
    def test_it_ends_with_housekeeping_whatever_its_run_came_to(self, fire, code, capsys):
        assert fire(partial(end_with, code)) == code
        assert capsys.readouterr().out.endswith(f"ended with exit code {code}\ncleaned by petseg-demo\n")

    def test_nothing_is_cleaned_when_it_is_told_to_end_or_another_run_goes_on(self, fire, capsys):
        fire(partial(end_with, 130))
        fire(partial(end_with, 1, error=RootInUseError("in use", "20270101-000000-000000")))
        assert "cleaned" not in capsys.readouterr().out

    def test_one_that_finds_the_disk_full_cleans_before_it_gives_up(self, fire, monkeypatch, capsys):
        refusals = iter([PetsegError("a run needs at least 1 GiB of free disk")])

        def prepare(_):
            for error in refusals:
                raise error

        monkeypatch.setattr("pipeline.runs.store.RunStore.prepare", prepare)
        assert fire(lambda _: 0) == 0
        out, err = capsys.readouterr()
        assert err == "cleaned by petseg-demo\n"
        assert out.startswith("started\n")

    def test_what_its_run_came_to_is_recorded(self, fire, root):
        record = RunRecord.begin("1", load_config(preset="demo"), root / "log")

        def train(fired: FiredRun) -> int:
            record.nodes = [NodeRecord(id="Trainer", state=NodeState.COMPLETE)]
            fired.record = record
            return 0

        def find_no_reason(fired: FiredRun) -> int:
            record.nodes = [NodeRecord(id="Trainer", state=NodeState.SKIPPED)]
            record.decision = Decision(trains=False, notes=("nothing new", "pushes are frozen"))
            fired.record = record
            return 0

        for run in (train, find_no_reason, lambda _: 1):
            fire(run)
            last = FiringRecord.load(root, "nightly").last
            if run is find_no_reason:
                assert (last.is_needless, last.reason) == (True, "nothing new; pushes are frozen")
        assert [past.trained for past in FiringRecord.load(root, "nightly").recent] == [True, False, None]
        assert [past.exit_code for past in FiringRecord.load(root, "nightly").recent] == [0, 0, 1]

    def test_a_run_that_was_started_by_hand_meanwhile_skips_it(self, fire, root):
        fire(lambda _: 3)

        def find_the_root_in_use(fired: FiredRun) -> int:
            fired.error = RootInUseError("in use", "20270101-000000-000000")
            return 1

        assert fire(find_the_root_in_use) == 0
        record = FiringRecord.load(root, "nightly")
        assert record.last.exit_code == 3
        assert record.skipped_for == "20270101-000000-000000"
        assert len(record.recent) == 1

    @pytest.mark.slow
    def test_of_firings_in_the_same_second_one_runs(self, root):
        names = ["nightly", "nightly", "hourly"]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", FIRES, name, str(root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in names
        ]
        assert {process.stdout.readline() for process in processes} == {"ready\n"}
        for process in processes:
            process.stdin.close()
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        log = (root / "schedule.log").read_text()
        assert [log.count(line) for line in ("started\n", "the run itself\n", "ended with exit code 0\n")] == [1, 1, 1]
        assert log.count("skipped, since ") == 2
        records = [FiringRecord.load(root, name) for name in ("nightly", "hourly")]
        assert sorted(len(record.recent) for record in records if record) == [0, 1]
        assert all(record.last is None or record.last.exit_code == 0 for record in records)
