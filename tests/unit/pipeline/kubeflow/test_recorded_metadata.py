"""The stand-in of ML Metadata, asked what a real server behind a real proxy was asked, answers as they did."""

import base64
import re
from typing import Any

import pytest
import urllib3
from fake_kubeflow_api import FakeKubeflowApi
from fake_metadata import SERVICE, WEB, InMemory
from google.protobuf import text_format
from ml_metadata.proto import metadata_store_service_pb2
from recordings import recorded

CONVERSATION = recorded("metadata_conversation")
ANSWERED = [entry for entry in CONVERSATION if entry["name"] != "the store is gone"]
_TIMES = re.compile(r"(\w+_since_epoch): \d+")
_TEXT_OF_A_LIBRARY = re.compile(r"(?<=Syntax error: ).*")


@pytest.fixture(scope="module")
def answers() -> list[urllib3.BaseHTTPResponse]:
    with FakeKubeflowApi() as api:
        api.metadata = InMemory()
        return [
            urllib3.request(
                "POST",
                f"{api.host}/{SERVICE.full_name}/{entry['method']}",
                body=base64.b64decode(entry["request"]),
                headers={"Content-Type": WEB},
                retries=False,
            )
            for entry in ANSWERED
        ]


@pytest.mark.parametrize("position", range(len(ANSWERED)), ids=[f"{e['name']}: {e['method']}" for e in ANSWERED])
def test_it_answers_as_the_real_server_did(answers, position):
    real, answer = ANSWERED[position], answers[position]
    assert (answer.status, answer.headers["Content-Type"]) == (real["status"], real["content_type"])
    assert answer.headers.get("Grpc-Status") == real["headers"].get("Grpc-Status")
    messages = [headers.get("Grpc-Message", "") for headers in (answer.headers, real["headers"])]
    assert len({_TEXT_OF_A_LIBRARY.sub("", message) for message in messages}) == 1
    assert frames(real["method"], answer.data) == frames(real["method"], base64.b64decode(real["answer"]))


def frames(method: str, body: bytes) -> list[Any]:
    """Returns the frames of a body: messages as texts without the times when they were made."""
    found = []
    while body:
        flags, length = body[0], int.from_bytes(body[1:5], "big")
        content, body = body[5 : 5 + length], body[5 + length :]
        if flags == 0:
            message = getattr(metadata_store_service_pb2, f"{method}Response").FromString(content)
            content = sorted(_TIMES.sub(r"\1", text_format.MessageToString(message)).splitlines())
        found.append((flags, content))
    return found
