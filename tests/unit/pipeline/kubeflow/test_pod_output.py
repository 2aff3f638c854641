"""What the launcher says and what TFX hears, and the way back."""

import pytest
from recordings import recorded
from tfx.utils import import_utils

from pipeline.kubeflow.pod_output import (
    from_tfx,
    input_paths,
    local_path,
    output_uris,
    remote_uri,
    run_id_of,
    to_tfx,
    with_declared_outputs,
    workers_path,
)
from trainer_module.errors import PetsegError

ROOT = "minio://mlpipeline/v2/artifacts/petseg/run/Trainer"
INPUTS_SPEC = {"artifacts": {"examples": {"artifactType": {"instanceSchema": "title: tfx.Examples\n"}}}}


def executor_input(**outputs) -> dict:
    examples = {
        "name": "17",
        "uri": f"{ROOT}/examples",
        "type": {},
        "metadata": {"split_names": {"list": ["train", "eval"]}, "counts": {"struct": {"train": 3.0}}, "version": "1"},
    }
    model = {"name": "", "uri": f"{ROOT}/model", "type": {"instanceSchema": "title: tfx.Model\n"}}
    return {
        "inputs": {"artifacts": {"examples": {"artifacts": [examples]}}, "parameterValues": {"custom_config": "{}"}},
        "outputs": {
            "artifacts": {"model": {"artifacts": [model]}},
            "outputFile": "/minio/mlpipeline/x/executor_output.json",
        }
        | outputs,
    }


def test_an_input_gets_its_type_plain_metadata_and_a_path():
    [examples] = to_tfx(executor_input(), INPUTS_SPEC)["inputs"]["artifacts"]["examples"]["artifacts"]
    assert examples["type"] == {"instanceSchema": "title: tfx.Examples\n"}
    assert examples["uri"] == "/minio/mlpipeline/v2/artifacts/petseg/run/Trainer/examples"
    assert examples["metadata"] == {"split_names": ["train", "eval"], "counts": {"train": 3.0}, "version": "1"}


def test_what_a_real_server_gives_becomes_what_tfx_knows():
    given = recorded("launcher_arguments")["StatisticsGen"]
    inputs_spec = given["component_spec"]["inputDefinitions"]
    message = with_declared_outputs(given["executor_input"], ["statistics"])
    told = to_tfx(message, inputs_spec)
    assert list(given["executor_input"]["outputs"]["artifacts"]) == ["executor-logs", "statistics"]
    assert list(told["outputs"]["artifacts"]) == ["statistics"]
    [statistics] = told["outputs"]["artifacts"]["statistics"]["artifacts"]
    assert statistics["uri"].startswith("/minio/mlpipeline/v2/artifacts/petseg-demo/")
    [examples] = told["inputs"]["artifacts"]["examples"]["artifacts"]
    assert examples["type"] == inputs_spec["artifacts"]["examples"]["artifactType"]
    assert output_uris(message) == [statistics["uri"].replace("/minio/", "minio://")]


@pytest.mark.parametrize(("pushed", "paths"), [(1.0, ["pushed_model"]), (0.0, [])])
def test_a_model_that_was_not_pushed_has_no_files(pushed, paths):
    model = {"name": "18", "uri": f"{ROOT}/pushed_model", "metadata": {"pushed": pushed}}
    assert list(input_paths({"inputs": {"artifacts": {"pushed_model": {"artifacts": [model]}}}})) == paths


def test_an_output_gets_a_path_and_a_name():
    [model] = to_tfx(executor_input(), INPUTS_SPEC)["outputs"]["artifacts"]["model"]["artifacts"]
    assert (model["uri"], model["name"]) == ("/minio/mlpipeline/v2/artifacts/petseg/run/Trainer/model", "model")


@pytest.mark.parametrize(
    ("output_file", "path"),
    [
        ("/tmp/kfp_outputs/output_metadata.json", "/tmp/kfp_outputs/output_metadata.json"),
        ("/minio/mlpipeline/x/executor_output.json", "/minio/mlpipeline/x/executor_output.json"),
        ("gs://bucket/x/executor_output.json", "/gcs/bucket/x/executor_output.json"),
    ],
)
def test_the_output_file_may_be_anywhere(output_file, path):
    assert to_tfx(executor_input(outputFile=output_file), INPUTS_SPEC)["outputs"]["outputFile"] == path


def test_the_launchers_message_is_not_changed():
    message = executor_input()
    to_tfx(message, INPUTS_SPEC)
    assert message == executor_input()


def test_the_answer_has_uris_and_no_nulls():
    metadata = {"pushed_destination": local_path(f"{ROOT}/model/1"), "baseline": None, "list": [1, None]}
    answer = {"artifacts": {"model": {"artifacts": [{"uri": local_path(f"{ROOT}/model"), "metadata": metadata}]}}}
    [model] = from_tfx(answer, executor_input())["artifacts"]["model"]["artifacts"]
    assert model == {"uri": f"{ROOT}/model", "metadata": {"pushed_destination": f"{ROOT}/model/1", "list": [1]}}


def test_an_output_that_moved_is_refused():
    answer = {"artifacts": {"model": {"artifacts": [{"uri": "/tmp/elsewhere"}]}}}
    with pytest.raises(PetsegError, match=rf"'/tmp/elsewhere'.*{ROOT}/model"):
        from_tfx(answer, executor_input())


@pytest.mark.parametrize(("property_", "value"), [(1, True), (0.0, False)])
def test_an_output_parameter_is_a_property_of_an_artifact_and_nothing_to_tfx(property_, value):
    message = executor_input(parameters={"trains": {"outputFile": "/tmp/kfp/outputs/trains"}})
    assert "parameters" not in to_tfx(message, INPUTS_SPEC)["outputs"]
    model = {"uri": local_path(f"{ROOT}/model"), "metadata": {"trains": property_}}
    answer = {"artifacts": {"model": {"artifacts": [model]}}}
    assert from_tfx(answer, message)["parameterValues"] == {"trains": value}
    assert from_tfx(answer, message)["parameterValues"]["trains"] is value
    assert "parameterValues" not in from_tfx(answer, executor_input())
    del model["metadata"]
    with pytest.raises(PetsegError, match="'trains' has no value"):
        from_tfx(answer, message)


def shown(kind: str, name: str) -> dict:
    """Returns what the launcher says of RunReport with one output."""
    output = {"name": "", "uri": f"{ROOT}/{name}", "type": {"schemaTitle": f"system.{kind}", "schemaVersion": "0.0.1"}}
    return {"outputs": {"artifacts": {name: {"artifacts": [output]}}, "outputFile": "/tmp/out.json"}}


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("Metrics", "metrics", ""),
        ("ClassificationMetrics", "confusion_matrix", ""),
        ("HTML", "report", "/report.html"),
        ("Markdown", "model_card", "/model_card.md"),
    ],
)
def test_what_the_pages_show_has_a_class_in_the_pod_and_is_one_file_where_they_read_one(kind, name, file):
    [told] = to_tfx(shown(kind, name), {})["outputs"]["artifacts"][name]["artifacts"]
    title = told["type"]["schemaTitle"]
    assert f"system.{kind}" == import_utils.import_class_by_path(title).TYPE_NAME
    metadata = {"accuracy": 0.5, "tfx_version": "1.21.0"}
    answer = {"artifacts": {name: {"artifacts": [{"uri": local_path(f"{ROOT}/{name}"), "metadata": metadata}]}}}
    [artifact] = from_tfx(answer, shown(kind, name))["artifacts"][name]["artifacts"]
    assert artifact == {"uri": f"{ROOT}/{name}{file}", "metadata": {"accuracy": 0.5}}


def test_a_component_that_asks_for_the_runs_id_gets_it():
    given = recorded("launcher_arguments")["StatisticsGen"]
    message = with_declared_outputs(given["executor_input"], ["statistics"])
    run_id = run_id_of(message)
    assert run_id in given["executor_input"]["inputs"]["artifacts"]["examples"]["artifacts"][0]["uri"].split("/")
    message["inputs"]["parameterValues"] = {"run_id": "", "other": "x"}
    told = to_tfx(message, given["component_spec"]["inputDefinitions"])
    assert told["inputs"]["parameterValues"] == {"run_id": run_id, "other": "x"}
    assert "run_id" not in to_tfx(executor_input(), INPUTS_SPEC)["inputs"]["parameterValues"]


@pytest.mark.parametrize(
    "uri", ["gs://b/pets/my-run/RunReport_-987/report", "/out/my-run/RunReport/report", f"{ROOT}/report"]
)
def test_an_execution_without_an_id_has_none_in_its_uris(uri):
    """As on Vertex AI and under kfp.local."""
    message = {"outputs": {"artifacts": {"report": {"artifacts": [{"uri": uri}]}}}}
    assert run_id_of(message) == ("run" if uri.startswith(ROOT) else "my-run")


@pytest.mark.parametrize("outputs", [{}, {"artifacts": {"report": {"artifacts": [{"uri": "s3://report"}]}}}])
def test_a_run_whose_outputs_are_elsewhere_has_no_id(outputs):
    with pytest.raises(PetsegError, match="expected an output under <root>/<pipeline>/<run id>/<task>"):
        run_id_of({"outputs": outputs})


def test_paths_of_inputs_and_outputs_are_where_the_launcher_has_them(monkeypatch):
    monkeypatch.setenv("PETSEG_LAUNCHER_ROOT", "/sandbox/")
    base = "/sandbox/minio/mlpipeline/v2/artifacts/petseg/run/Trainer"
    assert input_paths(executor_input()) == {"examples": f"{base}/examples"}
    assert output_uris(executor_input()) == [f"{ROOT}/model"]


@pytest.mark.parametrize("uri", ["gs://b/k", "s3://b/k/1", "minio://b/k"])
def test_uris_and_paths_are_two_names_of_one_place(uri):
    assert local_path(uri).startswith(("/gcs/b", "/s3/b", "/minio/b"))
    assert remote_uri(local_path(uri)) == uri


@pytest.mark.parametrize("text", ["/serving/pets/1", "https://a/b", "gs", "file:///x", ""])
def test_other_texts_stay(text):
    assert local_path(text) == text == remote_uri(text)


def test_workers_open_google_storage_themselves():
    assert [workers_path(uri) for uri in ("gs://b/k", "s3://b/k", "/x")] == ["gs://b/k", "/s3/b/k", "/x"]
    message = executor_input()
    message["inputs"]["artifacts"]["examples"]["artifacts"][0]["uri"] = "gs://b/examples"
    [examples] = to_tfx(message, INPUTS_SPEC, workers_path)["inputs"]["artifacts"]["examples"]["artifacts"]
    assert examples["uri"] == "gs://b/examples"
