"""What job servers say, as they said it, becomes what to do."""

import pytest

from pipeline.beam.failures import explain_job
from pipeline.runs.failures import explain_failure
from trainer_module.errors import DataError

# These words, but for those of closed calls, of Java's memory, of slots and of modules, are what a real Flink 1.19.3
# ended jobs with, through Beam 2.77.0, on 2026-11-29; the first with near-default memory.
FEW_BUFFERS = (
    "Pipeline BeamApp-root-1129045353-270950d5_4b93c765 failed in state FAILED: java.io.IOException: Insufficient "
    "number of network buffers: required 512, but only 405 available. The total number of network buffers is currently "
    "set to 4096 of 32768 bytes each. You can increase this number by setting the configuration keys "
    "'taskmanager.memory.network.fraction', 'taskmanager.memory.network.min', and 'taskmanager.memory.network.max'."
)


def failed(words):
    return RuntimeError(f"Pipeline petseg-1_2 failed in state FAILED: {words}")


def test_too_few_network_buffers_name_the_setting():
    failure = explain_failure(RuntimeError(FEW_BUFFERS), None)
    assert failure.is_foreseen
    assert failure.message.startswith(
        "Beam's job failed: Insufficient number of network buffers: required 512, but only 405"
    )
    assert "Set taskmanager.network.sort-shuffle.min-buffers: 16" in failure.message


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("java.lang.IllegalStateException: call is closed", "task.off-heap.size to 1g"),
        ("java.lang.IllegalStateException: call already half-closed", "task.off-heap.size to 1g"),
        ("java.lang.OutOfMemoryError: Direct buffer memory", "Raise taskmanager.memory.task.off-heap.size"),
        ("java.lang.OutOfMemoryError: Java heap space", "Raise taskmanager.memory.process.size"),
        ("org.apache.flink.x.NoResourceAvailableException: Slot request", "raise taskmanager.numberOfTaskSlots"),
        ("java.lang.IllegalArgumentException: Too little memory provided to sorter to perform task.", "managed.size"),
        (
            "org.apache.flink.runtime.rest.util.RestClientException: [org.apache.flink.runtime.rest.handler."
            "RestHandlerException: Failed to deserialize JobGraph.\n\tat java",
            "is made for another release of Flink",
        ),
        ("java.net.ConnectException: Connection refused", "does not listen any more"),
        ("java.net.ConnectException: finishConnect(..) failed: Connection refused", "does not listen any more"),
        ("java.io.IOException: Received exit code 125 for command 'docker run -d'. stderr: x", "--environment_config"),
        ("java.lang.IllegalStateException: Process died with exit code 3", "--environment_type=PROCESS names ended"),
        ("java.io.IOException: error=2, No such file or directory", "--environment_type=PROCESS"),
        ("in worker:\nModuleNotFoundError: No module named 'tfx'\n\n\tat java", "do not have petseg's environment"),
    ],
)
def test_what_a_job_ended_with_has_its_advice(words, advice):
    failure = explain_failure(failed(words), None)
    assert (failure.is_foreseen, advice in failure.message) == (True, True)
    assert "\n" not in failure.message


def test_other_words_and_other_places_are_not_explained():
    assert explain_job(str(failed("java.lang.NullPointerException"))) is None
    assert explain_job("ModuleNotFoundError: No module named 'mine'") is None


def test_what_petseg_raised_in_a_worker_is_its_message():
    text = f"x\n{DataError.__module__}.DataError: no mask\n\njava.net.ConnectException: Connection refused"
    assert explain_failure(failed(text), None).message == "no mask"
