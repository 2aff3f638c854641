"""Questions to a process of their own: answered, refused, and by a process that dies or never ends."""

import os
import time

import pytest

from pipeline.config.loading import load_config
from pipeline.doctor.apart import QUESTIONS, NoAnswerError, ask
from trainer_module.errors import PetsegError


@pytest.fixture
def config(tmp_path):
    return load_config(
        preset="demo", pipeline_root=str(tmp_path / "root"), overrides=["kubeflow.host=http://127.0.0.1:9"]
    )


@pytest.fixture
def client_of_kubeflow(tmp_path, monkeypatch):
    """Writes what Python finds as the client of Kubeflow Pipelines."""

    def write(code: str) -> None:
        (tmp_path / "kfp_server_api.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    return write


def test_every_question_has_somebody_who_answers():
    from importlib import import_module

    for place in QUESTIONS.values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(module), name))


def test_an_answer_comes_back_as_what_json_can_say(config):
    served, pushes = ask("pushed models", config, 60)
    assert (served["subject"], served["state"]) == ("served model", "ok")
    assert pushes["found"] == "not frozen"


def test_what_is_raised_there_is_raised_here(config, client_of_kubeflow):
    client_of_kubeflow("print('a library that prints')\nraise ImportError('libssl.so.1: no such file')")
    with pytest.raises(PetsegError, match=r"^ImportError: libssl\.so\.1: no such file$") as caught:
        ask("Kubeflow", config, 60)
    assert not isinstance(caught.value, NoAnswerError)


def test_a_process_that_is_ended_by_a_library_says_by_which_signal_and_its_last_words(config, client_of_kubeflow):
    client_of_kubeflow(
        "import os, sys\nsys.stderr.write('illegal instruction\\n')\nsys.stderr.flush()\nos.kill(os.getpid(), 4)"
    )
    with pytest.raises(NoAnswerError, match="its process was ended by SIGILL: illegal instruction"):
        ask("Kubeflow", config, 60)


def test_a_process_that_never_ends_is_ended(config, client_of_kubeflow):
    client_of_kubeflow("import time\ntime.sleep(600)")
    start = time.monotonic()
    with pytest.raises(NoAnswerError, match="no answer within 2 s"):
        ask("Kubeflow", config, 2)
    assert time.monotonic() - start < 30
