"""Which version is served, and the change to another while requests run."""

import gc
import json
import shutil
import threading
import time
import weakref

import pytest
import tensorflow as tf
from serving_model import CARD, picture
from tensorflow_serving.apis import prediction_log_pb2

from components.model_pusher.files import CHECKSUMS_FILE, checksums, file_digests
from pipeline.serving import model as serving_model
from pipeline.serving.batching import Measurements
from pipeline.serving.limits import Limits
from pipeline.serving.versions import ModelVersions
from trainer_module.errors import ModelError

SEGMENT = "/v1/models/pets:segment"


def push(written_models, pets, version, as_version=None):
    """Copies a version, to be seen at once."""
    making = pets / f".{version}"
    shutil.copytree(written_models / str(version), making)
    making.rename(pets / str(as_version or version))


def served_version(client) -> str:
    return client.get("/readyz").json()["version"]


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def opened(directory, version=None) -> ModelVersions:
    return ModelVersions.open(directory, version, Limits(), Measurements())


def test_the_newest_version_is_served_or_the_given_one(written_models):
    assert opened(written_models).current.version == 2
    assert opened(written_models, 1).current.version == 1
    assert opened(written_models / "1").current.version == 1


def test_a_directory_without_a_number_is_version_1(written_models, tmp_path):
    shutil.copytree(written_models / "2", tmp_path / "model")
    assert opened(tmp_path / "model").current.version == 1


def test_there_has_to_be_a_model(tmp_path, written_models):
    with pytest.raises(ModelError, match=r"no model in .* `petseg run` pushed"):
        opened(tmp_path)
    with pytest.raises(ModelError, match=r"no version 3 in .* it has \[1, 2\]"):
        opened(written_models, 3)


def test_at_the_start_a_version_that_does_not_load_gives_way_to_the_one_before(pets, written_models):
    push(written_models, pets, 2)
    (pets / "2" / "saved_model.pb").write_bytes(b"no model")
    versions = opened(pets)
    assert versions.current.version == 1
    assert [status["state"] for status in versions.statuses()] == ["END", "AVAILABLE"]
    (pets / "1" / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ModelError, match="1' is no model that petseg exported"):
        opened(pets)


def test_a_new_version_takes_over_and_no_request_fails(client, pets, written_models, service):
    """Version 2 turns the classes round: red is class 1, and every answer says which version it is of."""
    old = weakref.ref(service.versions.current)
    seen, failed, stop = set(), [], threading.Event()

    def ask():
        while not stop.is_set():
            answer = client.post(f"{SEGMENT}?output=json", content=picture("red"))
            content = answer.json()
            if answer.status_code != 200:
                failed.append(content)
                return
            largest = max(content["classes"], key=lambda one: one["share"])["id"]
            seen.add((content["version"], largest))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    push(written_models, pets, 2)
    wait_for(lambda: ("2", 1) in seen)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert seen == {("1", 0), ("2", 1)}
    assert served_version(client) == "2"
    assert "petseg_model_version 2.0" in client.get("/metrics").text
    assert client.get("/v1/models/pets/versions/1").status_code == 404

    def freed():
        gc.collect()
        return old() is None

    wait_for(freed)


def test_a_removed_version_gives_the_one_before_back(make_service, pets, written_models):
    from starlette.testclient import TestClient

    from pipeline.serving.server import create_application

    push(written_models, pets, 2)
    with TestClient(create_application(make_service())) as client:
        assert served_version(client) == "2"
        shutil.rmtree(pets / "2")
        wait_for(lambda: served_version(client) == "1")
        shutil.rmtree(pets / "1")
        time.sleep(0.2)
        assert client.post(SEGMENT, content=picture("red")).status_code == 200


@pytest.mark.parametrize("harm", ["saved_model.pb", "variables/variables.data-00000-of-00001", "card", "warm_up"])
def test_a_version_that_does_not_load_is_reported_and_the_old_one_goes_on(
    client, pets, written_models, harm, monkeypatch, caplog
):
    if harm == "warm_up":

        def no_requests(_):
            raise ValueError("no such input")

        monkeypatch.setattr(serving_model, "_warm_up_requests", no_requests)
    shutil.copytree(written_models / "2", pets / ".2")
    if harm == "card":
        (pets / ".2" / CHECKSUMS_FILE).write_bytes(checksums(file_digests(str(pets / ".2")), {}))
        (pets / ".2" / "assets.extra" / "petseg_model.json").write_text(json.dumps(CARD | {"image_size": 17}))
    elif harm != "warm_up":
        (pets / ".2" / harm).write_bytes(b"x")
    (pets / ".2").rename(pets / "2")
    url = "/v1/models/pets/versions/2"
    wait_for(lambda: client.get(url).status_code == 200 and "END" in client.get(url).text)
    status = client.get(url).json()["model_version_status"][0]
    assert status["status"]["error_code"] != "OK"
    assert str(pets / "2") in status["status"]["error_message"]
    assert served_version(client) == "1"
    assert 'petseg_model_loads_total{result="failed"} 1.0' in client.get("/metrics").text
    assert "version 2 does not load, 1 goes on" in caplog.text
    push(written_models, pets, 2, as_version=3)
    if harm != "warm_up":
        wait_for(lambda: served_version(client) == "3")


def test_what_is_said_of_a_version_goes_with_it(client, pets, written_models):
    push(written_models, pets, 2)
    wait_for(lambda: served_version(client) == "2")
    shutil.copytree(written_models / "2", pets / ".3")
    (pets / ".3" / "saved_model.pb").write_bytes(b"x")
    (pets / ".3").rename(pets / "3")
    wait_for(lambda: "END" in client.get("/v1/models/pets").text)
    shutil.rmtree(pets / "3")
    wait_for(lambda: "END" not in client.get("/v1/models/pets").text)


def test_a_directory_that_cannot_be_looked_at_is_told_once(client, monkeypatch, caplog):
    from pipeline.serving import versions

    looks = []

    def fail(base):
        looks.append(base)
        raise PermissionError("no right to look")

    monkeypatch.setattr(versions, "complete_versions", fail)
    wait_for(lambda: len(looks) > 3)
    assert caplog.text.count("cannot look for versions") == 1
    assert client.post(SEGMENT, content=picture("red")).status_code == 200


def test_a_version_that_did_not_load_is_tried_again(make_service, pets, written_models):
    from starlette.testclient import TestClient

    from pipeline.serving.server import create_application

    with TestClient(create_application(make_service(retry_seconds=0.1))) as client:
        shutil.copytree(written_models / "2", pets / ".2")
        whole = (pets / ".2" / "saved_model.pb").read_bytes()
        (pets / ".2" / "saved_model.pb").write_bytes(b"x")
        (pets / ".2").rename(pets / "2")
        wait_for(lambda: "END" in client.get("/v1/models/pets").text)
        (pets / "2" / "saved_model.pb").write_bytes(whole)
        wait_for(lambda: served_version(client) == "2")
        assert "END" not in client.get("/v1/models/pets").text


def test_the_model_is_warmed_up_with_the_requests_it_brings(pets, monkeypatch):
    record = prediction_log_pb2.PredictionLog()
    request = record.predict_log.request
    request.model_spec.signature_name = "tensor"
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(tf.zeros([2, 16, 16, 3])))
    with tf.io.TFRecordWriter(str(pets / "1" / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        writer.write(record.SerializeToString())
    calls = []

    class Watched(serving_model.LoadedModel):
        def run(self, signature, inputs):
            calls.append((signature, inputs["image"].shape))
            return super().run(signature, inputs)

    monkeypatch.setattr(serving_model, "LoadedModel", Watched)
    opened(pets)
    assert calls == [("tensor", (2, 16, 16, 3))]
