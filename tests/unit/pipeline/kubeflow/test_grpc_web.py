"""Answers of gRPC-Web: as they were recorded, as the protocol allows them, and such as are none."""

import base64

import pytest
from ml_metadata.proto import metadata_store_service_pb2
from recordings import recorded

from pipeline.kubeflow.grpc_web import CONTENT_TYPE, GrpcStatusError, NotGrpcWebError, answered, framed

HEADERS = {"content-type": CONTENT_TYPE}
CONVERSATION = recorded("metadata_conversation")


def frame(flags: int, content: bytes) -> bytes:
    return bytes([flags]) + len(content).to_bytes(4, "big") + content


def test_what_was_recorded_can_be_read():
    executions = {}
    for entry in CONVERSATION:
        headers = {name.lower(): value for name, value in entry["headers"].items()} | HEADERS
        body = base64.b64decode(entry["answer"])
        if "grpc-status" in headers:
            with pytest.raises(GrpcStatusError) as raised:
                answered(headers, body)
            assert raised.value.code == int(headers["grpc-status"])
            assert raised.value.details == headers["grpc-message"]
        else:
            answer = getattr(metadata_store_service_pb2, f"{entry['method']}Response").FromString(
                answered(headers, body)
            )
            executions[entry["name"]] = getattr(answer, "executions", executions.get(entry["name"]))
    assert [one.custom_properties["task_name"].string_value for one in executions["read several runs"]] == [
        "Trainer",
        "Evaluator",
        "Trainer",
        "Evaluator",
    ]


def test_a_request_is_one_frame():
    entry = next(entry for entry in CONVERSATION if entry["name"] == "a run that is not there")
    request = metadata_store_service_pb2.GetContextByTypeAndNameRequest(
        type_name="system.PipelineRun", context_name="run-3"
    )
    assert framed(request.SerializeToString()) == base64.b64decode(entry["request"])


def test_trailers_tell_of_a_failure_after_the_message():
    body = frame(0, b"half") + frame(0x80, b"grpc-status:14\r\nGrpc-Message: connection%20lost\r\n")
    with pytest.raises(GrpcStatusError) as raised:
        answered(HEADERS, body)
    assert (raised.value.code, raised.value.details) == (14, "connection lost")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "before its trailers"),
        (frame(0, b"all"), "before its trailers"),
        (frame(0, b"all")[:-1], "breaks off"),
        (b"\0\0", "breaks off"),
        (frame(0x80, b"grpc-status: 0\r\n"), "without a message"),
        (frame(0x80, b"grpc-status: perhaps\r\n"), "before its trailers"),
        (b"<html>Sign in</html>", "flags 0x3c|breaks off"),
    ],
)
def test_what_is_none(body, what):
    with pytest.raises(NotGrpcWebError, match=what):
        answered(HEADERS, body)


def test_another_content_type_is_named():
    with pytest.raises(NotGrpcWebError, match=r"^text/html; charset=utf-8$"):
        answered({"content-type": "text/html; charset=utf-8"}, b"")
