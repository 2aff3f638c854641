"""`petseg notify`, and how `petseg run` and the firings of a schedule tell people."""

import json
import os
import subprocess
import sys

import pytest
from mail_server import MailServer
from webhook_server import WebhookServer

import petseg
from pipeline.cli import exit_code
from pipeline.commands import firing
from pipeline.config.loading import load_config
from pipeline.config.notification import NotificationConfig
from pipeline.local import runner
from pipeline.runs.record import RunRecord, RunState
from pipeline.runs.store import RunStore
from pipeline.schedules.firings import FiringRecord

HOOK = "notification.webhook=true"
SECRET = "cccc-secret-dddd"


@pytest.fixture
def hook(root, without_proxy, monkeypatch):
    with WebhookServer() as server:
        monkeypatch.setenv("PETSEG_WEBHOOK_URL", server.url)
        yield server


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A pipeline root, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PETSEG_WEBHOOK_URL", raising=False)
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def make_run(root, *overrides: str, run_id: str = "20260102-030405-000001", **changes: object) -> RunRecord:
    """Leaves a run that failed, unless changed."""
    files = RunStore(root).create_run(run_id)
    record = RunRecord.begin(run_id, load_config(preset="demo", overrides=overrides), files.log)
    record.state, record.error, record.seconds = RunState.FAILED, "why", 1.0
    for name, value in changes.items():
        setattr(record, name, value)
    record.save(files.record)
    return record


class TestNotify:
    def test_the_latest_run_is_told_by_its_own_settings(self, hook, root, capsys):
        make_run(root, HOOK, run_id="20260101-000000-000000")
        make_run(root, HOOK)
        assert exit_code(["notify", "--pipeline-root", str(root)]) == 0
        assert exit_code(["notify", "20260101-000000-000000", "--pipeline-root", str(root)]) == 0
        assert "20260102-030405-000001" in hook.messages[0]["text"]
        assert "20260101-000000-000000" in hook.messages[1]["text"]
        assert capsys.readouterr().err == "notice: told by webhook\n" * 2

    def test_other_settings_are_taken_where_they_are_given(self, hook, root):
        make_run(root)
        with MailServer() as server:
            mail = ["mail_to=['a@b.test']", "mail_from=c@d.test", "smtp_host=127.0.0.1", "smtp_security=none"]
            options = [f"--set=notification.{each}" for each in (*mail, f"smtp_port={server.port}")]
            assert exit_code(["notify", "--pipeline-root", str(root), *options]) == 0
            assert server.mails[0]["Subject"] == "petseg-demo: Failed"
        assert hook.messages == []

    def test_a_message_that_is_not_taken_is_this_commands_failure(self, hook, root, capsys):
        make_run(root, HOOK)
        hook.fail(404, body=f"no_service {hook.url}")
        assert exit_code(["notify", "--pipeline-root", str(root), "--json"]) == 1
        output = capsys.readouterr()
        [told] = json.loads(output.out)
        assert (told["channel"], "answered 404" in told["error"]) == ("webhook", True)
        assert SECRET not in output.out + output.err

    def test_a_dry_run_prints_and_sends_nothing(self, hook, root, capsys, monkeypatch):
        mail = ["notification.mail_to=['a@b.test']", "notification.mail_from=c@d.test", "notification.smtp_host=h.test"]
        make_run(root, HOOK, *mail)
        monkeypatch.delenv("PETSEG_WEBHOOK_URL")
        assert exit_code(["notify", "--dry-run", "--pipeline-root", str(root)]) == 0
        output = capsys.readouterr()
        assert "PETSEG_WEBHOOK_URL is not set" in output.err
        assert '"type": "header"' in output.out
        assert "by h.test:587:\nFrom: c@d.test\nTo: a@b.test\nSubject: petseg-demo: Failed\n" in output.out
        assert exit_code(["notify", "--dry-run", "--json", "--pipeline-root", str(root)]) == 0
        assert set(json.loads(capsys.readouterr().out)) == {"webhook", "mail"}
        assert hook.requests == []

    def test_the_set_up_can_be_tried(self, hook, root):
        assert exit_code(["notify", "--test", "--preset=demo", f"--set={HOOK}"]) == 0
        assert hook.messages[0]["text"].startswith("petseg-demo: Test\n")

    @pytest.mark.parametrize("arguments", [["--test"], ["--set=notification.when=always"], []])
    def test_settings_that_name_nobody_are_bad_usage(self, root, capsys, arguments):
        make_run(root)
        assert exit_code(["notify", "--pipeline-root", str(root), *arguments]) == 2
        assert "nobody can be told: neither notification.webhook nor notification.mail_to" in capsys.readouterr().err

    def test_a_secret_is_printed_by_nothing(self, hook, root, capsys):
        make_run(root, HOOK)
        for command in (["show-config", f"--set={HOOK}"], ["runs", "show", "--json", "--pipeline-root", str(root)]):
            assert exit_code(command) == 0
        assert SECRET not in "".join(capsys.readouterr())


class TestRun:
    @pytest.fixture(autouse=True)
    def _run(self, monkeypatch, root):
        """Has a run fail."""

        def fail(config, _request):
            overrides = [HOOK] if config.notification.webhook else []
            return make_run(root, *overrides)

        monkeypatch.setattr(runner, "run_pipeline", fail)

    def test_it_tells_on_request_and_its_exit_code_is_its_own(self, hook, root, capsys):
        assert exit_code(["run", "--preset=demo", f"--set={HOOK}", "--notify"]) == 1
        assert "Failed" in hook.messages[0]["text"]
        log = root / "runs" / "20260102-030405-000001" / "run.log"
        assert log.read_text().endswith(" told by webhook\n")

    @pytest.mark.parametrize("when", ["always", "scheduled", "never"])
    def test_it_tells_when_that_is_wanted(self, hook, root, when):
        exit_code(["run", "--preset=demo", f"--set={HOOK}", f"--set=notification.when={when}"])
        assert len(hook.messages) == (when == "always")

    def test_a_failure_to_tell_is_a_notice(self, hook, root, capsys):
        hook.fail(404)
        assert exit_code(["run", "--preset=demo", f"--set={HOOK}", "--notify"]) == 1
        said = capsys.readouterr().err
        log = (root / "runs" / "20260102-030405-000001" / "run.log").read_text()
        for text in (said, log):
            assert "not told by webhook: cannot post to the webhook" in text
            assert SECRET not in text

    def test_what_is_missing_is_said_before_the_run(self, root, capsys):
        assert exit_code(["run", "--preset=demo", f"--set={HOOK}", "--notify"]) == 1
        assert "PETSEG_WEBHOOK_URL is not set" in capsys.readouterr().err.splitlines()[0]

    def test_a_request_that_can_tell_nobody_is_refused_before_the_run(self, root, capsys):
        assert exit_code(["run", "--preset=demo", "--notify"]) == 2
        assert "nobody can be told" in capsys.readouterr().err
        assert list(root.iterdir()) == []


class TestFiring:
    """Firings as schedulers start them: in processes of their own, with next to nothing in the environment."""

    @pytest.fixture
    def fire(self, root, hook, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text(hook.url)
        FiringRecord.begin(root, "nightly", NotificationConfig(webhook=True))

        def fired(*arguments: str) -> "subprocess.CompletedProcess[str]":
            command = [sys.executable, "-P", "-m", "petseg", "schedule", "fire", "--name", "nightly"]
            command += ["--directory", str(tmp_path), "--root", str(root), "--", *arguments, f"--pipeline-root={root}"]
            environment = {"HOME": str(tmp_path), "PATH": os.defpath, "PETSEG_WEBHOOK_URL_FILE": str(secret)}
            environment["PYTHONPATH"] = str(petseg.ROOT)
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

        return fired

    def test_one_whose_configuration_is_broken_is_told_all_the_same(self, fire, hook, root):
        result = fire("--preset=demo", "--set=trainer.epoch=3")
        assert (result.returncode, result.stdout, result.stderr) == (2, "", "")
        [message] = hook.messages
        assert message["text"].startswith("schedule nightly: The run could not start\n")
        assert "did you mean 'trainer.epochs'?" in message["text"]
        assert (root / "schedule.log").read_text().endswith("schedule nightly: told by webhook\n")
        assert FiringRecord.load(root, "nightly").last.not_told == ""

    def test_that_nobody_could_be_told_is_remembered(self, fire, hook, root):
        hook.fail(404, times=9)
        assert fire("--config=gone.toml").returncode == 2
        last = FiringRecord.load(root, "nightly").last
        assert (last.exit_code, "gone.toml" in last.reason) == (2, True)
        assert last.not_told.startswith("not told by webhook: cannot post to the webhook")
        written = "".join(file.read_text() for file in root.rglob("*") if file.is_file())
        assert "not told by webhook" in written
        assert SECRET not in written


class TestFiringHere:
    """Firings in this process, with a run that leaves what a test wants."""

    @pytest.fixture
    def fire(self, root, hook, monkeypatch):
        monkeypatch.setattr(firing, "FiringLog", _Log)

        def fired(code: int = 0, record: RunRecord | None = None, config=None, error: BaseException | None = None):
            def petseg_run(learns) -> int:
                learns.config, learns.record = config, record
                if error:
                    raise error
                return code

            return firing._fire("nightly", root.parent, str(root), petseg_run)

        return fired

    def test_its_run_is_told_with_the_schedule(self, fire, hook, root):
        config = load_config(preset="demo", overrides=[HOOK])
        record = make_run(root, HOOK)
        assert fire(1, record, config) == 1
        [message] = hook.messages
        assert "schedule: nightly" in message["text"]
        assert message["text"].startswith("petseg-demo: Failed")
        assert FiringRecord.load(root, "nightly").notification["webhook"] is True
        config = load_config(preset="demo", overrides=[HOOK, "notification.outcomes=['pushed']"])
        fire(1, record, config)
        assert len(hook.messages) == 1

    def test_an_error_that_nobody_foresaw_is_told_and_raised(self, fire, hook):
        with pytest.raises(MemoryError):
            fire(config=load_config(preset="demo", overrides=[HOOK]), error=MemoryError("all of it"))
        assert "MemoryError: all of it" in hook.messages[0]["text"]

    def test_a_root_that_cannot_be_written_to_is_told(self, fire, hook, root, monkeypatch, capsys):
        FiringRecord.begin(root, "nightly", NotificationConfig(webhook=True))
        monkeypatch.setattr("pipeline.runs.store.MIN_FREE_BYTES", 2**80)
        assert fire() == 1
        assert "a run needs at least" in hook.messages[0]["text"]
        assert "schedule nightly: told by webhook" in capsys.readouterr().err

    def test_skipped_firings_are_told_once_a_run_where_that_is_wanted(self, fire, hook, root):
        FiringRecord.begin(root, "nightly", NotificationConfig(webhook=True))
        with RunStore(root).lock("1"):
            fire()
        assert hook.messages == []
        FiringRecord.begin(root, "nightly", NotificationConfig(webhook=True, outcomes=("skipped",)))
        for run_id, count in (("2", 1), ("2", 1), ("3", 2)):
            with RunStore(root).lock(run_id):
                assert fire() == 0
            assert len(hook.messages) == count
        assert "schedule nightly: Skipped" in hook.messages[1]["text"]
        assert "the run 3 goes on" in hook.messages[1]["text"]


class _Log:
    """A log that leaves this process's streams alone."""

    def __init__(self, *_: object) -> None: ...

    def write(self, what: str) -> None: ...

    def last_error(self) -> str:
        return "why"
