"""Which devices and workers a training is spread over, with fake lists of them."""

import json
from types import SimpleNamespace

import pytest
import tensorflow as tf

from trainer_module import distribution
from trainer_module.config import TrainerConfig
from trainer_module.distribution import Cluster, check_batch_size, choose_strategy
from trainer_module.errors import ConfigError, DataError


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many GPUs, and what was asked of TensorFlow."""
    asked = SimpleNamespace(growth=[], visible=None)

    def with_gpus(count):
        gpus = [f"gpu{index}" for index in range(count)]
        config = SimpleNamespace(
            get_visible_devices=lambda kind: gpus,
            set_visible_devices=lambda devices, kind: setattr(asked, "visible", devices),
            experimental=SimpleNamespace(set_memory_growth=lambda gpu, on: asked.growth.append((gpu, on))),
        )
        strategies = SimpleNamespace(
            MirroredStrategy=lambda devices: ("mirrored", devices),
            MultiWorkerMirroredStrategy=lambda: ("workers", asked.visible),
            OneDeviceStrategy=lambda device: ("one", device),
            get_strategy=lambda: "default",
        )
        monkeypatch.setattr(distribution, "tf", SimpleNamespace(config=config, distribute=strategies))
        return asked

    return with_gpus


@pytest.mark.parametrize(
    ("there", "asked_for", "chosen"),
    [
        (0, None, "default"),
        (0, 0, "default"),
        (1, None, "default"),
        (1, 0, ("one", "CPU:0")),
        (4, None, ("mirrored", ["GPU:0", "GPU:1", "GPU:2", "GPU:3"])),
        (4, 2, ("mirrored", ["GPU:0", "GPU:1"])),
        (4, 1, "default"),
    ],
)
def test_one_worker_takes_the_gpus_that_it_is_told_to(machine, there, asked_for, chosen):
    asked = machine(there)
    assert choose_strategy(asked_for, Cluster()) == chosen
    assert asked.growth == [(f"gpu{index}", True) for index in range(there)]


def test_several_workers_mirror_over_their_gpus(machine):
    machine(2)
    assert choose_strategy(1, Cluster(num_workers=2)) == ("workers", ["gpu0"])


def test_more_gpus_than_there_are_is_an_error_with_both_numbers(machine):
    machine(2)
    with pytest.raises(ConfigError, match=r"trainer\.gpus is 3, but TensorFlow sees 2"):
        choose_strategy(3, Cluster())


def test_gpus_already_in_use_keep_their_memory(machine, monkeypatch):
    machine(1)

    def refuse(gpu, on):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(distribution.tf.config.experimental, "set_memory_growth", refuse)
    assert choose_strategy(None, Cluster()) == "default"


def cluster_of(monkeypatch, declared):
    text = declared if isinstance(declared, str) else json.dumps(declared)
    monkeypatch.setenv("TF_CONFIG", text)
    return Cluster.from_environment()


def test_workers_are_counted_and_one_is_chief(monkeypatch):
    workers = {"worker": ["a:1", "b:1"]}
    assert cluster_of(monkeypatch, {"cluster": workers, "task": {"type": "worker", "index": 0}}) == Cluster(2, True)
    assert cluster_of(monkeypatch, {"cluster": workers, "task": {"type": "worker", "index": 1}}) == Cluster(2, False)
    chief = {"chief": ["a:1"], **workers}
    assert cluster_of(monkeypatch, {"cluster": chief, "task": {"type": "worker", "index": 0}}) == Cluster(3, False)
    assert cluster_of(monkeypatch, {"cluster": chief, "task": {"type": "chief", "index": 0}}) == Cluster(3, True)


def test_without_workers_there_is_one(monkeypatch):
    assert cluster_of(monkeypatch, {"cluster": {}}) == Cluster()
    assert cluster_of(monkeypatch, "") == Cluster()


@pytest.mark.parametrize("text", ["no json", "[]", '{"cluster": {"worker": ["a:1", "b:1"]}}'])
def test_a_damaged_cluster_is_an_error(monkeypatch, text):
    with pytest.raises(ConfigError, match="TF_CONFIG is expected to be JSON"):
        cluster_of(monkeypatch, text)


def test_parameter_servers_are_refused(monkeypatch):
    cluster = {"worker": ["a:1", "b:1"], "ps": ["c:1"]}
    with pytest.raises(ConfigError, match="TF_CONFIG has ps"):
        cluster_of(monkeypatch, {"cluster": cluster, "task": {"type": "worker", "index": 0}})


def test_a_batch_that_cannot_be_shared_is_an_error_that_names_the_next_sizes():
    check_batch_size(64, 4)
    with pytest.raises(ConfigError, match=r"batch_size is 10.*4 replicas.*8 or 12"):
        check_batch_size(10, 4)
    with pytest.raises(ValueError, match="each GPU needs an equal share"):
        TrainerConfig(batch_size=10, gpus=4)


def test_one_process_always_agrees_with_itself():
    distribution.check_agreement(tf.distribute.get_strategy(), {"the epoch": 1, "the step": 2}, "")


def test_workers_that_differ_are_told_in_what(monkeypatch):
    """With what three workers would have gathered; tests/integration lets two workers do it."""

    class Workers:
        def __init__(self, found):
            self.found = found

        def run(self, function):
            return self.found

        def experimental_local_results(self, value):
            return (value,)

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", Workers)
    own = {"the checkpoint's epoch": 2, "the checkpoint's step": 1, "the classes": 3}
    distribution.check_agreement(Workers([[2, 1, 3]] * 3), own, "Mend it.")
    with pytest.raises(DataError) as raised:
        distribution.check_agreement(Workers([[2, 1, 3], [0, 0, 3], [2, 7, 3]]), own, "Mend it.")
    assert str(raised.value) == (
        "the workers of the training do not agree: the checkpoint's epoch is 0 or 2, here 2; "
        "the checkpoint's step is 0 or 1 or 7, here 1. Mend it."
    )
