"""How the API of Kubeflow Pipelines reads and writes: strictly by its published models, and with its own refusals."""

import json
import re
from datetime import datetime
from typing import Any

import yaml
from fake_http_api import JSON, Answer
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from kfp_server_api import models

PLAIN = "text/plain; charset=utf-8"
_STATUS_TYPE = "type.googleapis.com/google.rpc.Status"
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}
_EMPTY: tuple[Any, ...] = (None, "", False, 0, [], {})


class RefusalError(Exception):
    """The server refuses a request."""

    def __init__(self, status: int, code: int, message: str, detail: str | None = None) -> None:
        """Constructs the refusal.

        Args:
          status: Of HTTP.
          code: Of gRPC.
          message: All that the layers of the server have to say.
          detail: What the innermost says. None: nothing but the message is answered.
        """
        super().__init__(message)
        self.status, self.code, self.message, self.detail = status, code, message, detail

    @property
    def answer(self) -> Answer:
        details = {} if self.detail is None else {"details": [self._status(self.detail)]}
        return Answer(json.dumps({"code": self.code, "message": self.message} | details), self.status)

    def _status(self, message: str) -> dict[str, Any]:
        return {"@type": _STATUS_TYPE, "code": self.code, "message": message}


class HttpRefusalError(RefusalError):
    """The server refuses a request on a route of uploads or artifacts, whose errors are of another form."""

    def __init__(self, status: int, message: str, content_type: str = JSON) -> None:
        super().__init__(status, 0, message)
        self._content_type = content_type

    @property
    def answer(self) -> Answer:
        return Answer(error_text(self.message), self.status, self._content_type)


def error_text(message: str) -> str:
    """Returns an error as the routes of uploads, logs and artifacts write it."""
    return json.dumps({"error_message": message, "error_details": message})


def invalid(detail: str, *during: str) -> RefusalError:
    """Returns the refusal of a request that cannot be done; `during` is what the outer layers say."""
    return RefusalError(400, 3, ": ".join([*during, "Invalid input error", detail]), detail)


def not_found(detail: str, *during: str) -> RefusalError:
    return RefusalError(404, 5, ": ".join([*during, "ResourceNotFoundError", detail]), detail)


def exists(detail: str, *during: str) -> RefusalError:
    return RefusalError(409, 6, ": ".join([*during, "Already exist error", detail]), detail)


def read_json(body: bytes) -> Any:
    """Returns the values of a request's body."""
    try:
        return json.loads(body)
    except ValueError:
        raise RefusalError(400, 3, "unexpected EOF") from None


def read_model(values: Any, type_name: str, where: str = "body") -> Any:
    """Reads JSON into the published model of that name; what the model does not have is refused."""
    if values is None:
        return None
    if match := re.fullmatch(r"list\[(.*)\]", type_name):
        return [read_model(value, match[1], f"{where}[]") for value in values]
    if match := re.fullmatch(r"dict\(str, (.*)\)", type_name):
        return {key: read_model(value, match[1], f"{where}.{key}") for key, value in values.items()}
    if type_name == "object":
        return values
    if type_name == "datetime":
        return datetime.fromisoformat(values)
    if type_name in _JSON_TYPES:
        if not isinstance(values, _JSON_TYPES[type_name]):
            raise RefusalError(400, 3, f"proto: {where}: invalid value {values!r} for {type_name}")
        return values
    model = getattr(models, type_name)
    if not model.openapi_types:
        if values not in model.allowable_values:
            raise RefusalError(400, 3, f"proto: {where}: invalid value for enum field: {values!r}")
        return values
    fields = {json_name: name for name, json_name in model.attribute_map.items()}
    unknown = set(values) - set(fields)
    if unknown:
        raise RefusalError(400, 3, f'proto: {where}: unknown field "{min(unknown)}"')
    return model(
        **{fields[key]: read_model(value, model.openapi_types[fields[key]], key) for key, value in values.items()}
    )


def to_json(value: Any) -> Any:
    """Returns an answer as the server writes it: times in whole seconds, and no field of a message that is empty."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, list):
        return [to_json(inner) for inner in value]
    if isinstance(value, dict):
        return {key: to_json(inner) for key, inner in value.items()}
    if not hasattr(value, "attribute_map"):
        return value
    fields = {json_name: getattr(value, name) for name, json_name in value.attribute_map.items()}
    return {key: to_json(inner) for key, inner in fields.items() if inner not in _EMPTY}


def read_package(content: bytes) -> dict[str, Any]:
    """Returns a package in the form that the server answers with."""
    try:
        documents = list(yaml.safe_load_all(content))
        if not documents or "pipelineInfo" not in documents[0]:
            raise HttpRefusalError(400, "unknown template format")
        specification = json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
        for document in documents[1:]:
            json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
    except (yaml.YAMLError, json_format.ParseError) as error:
        raise HttpRefusalError(400, f"invalid v2 pipeline spec: {error}") from error
    if specification.schema_version != "2.1.0":
        wrong = f"KFP only supports schema version 2.1.0, but the pipeline spec has {documents[0]}"
        raise HttpRefusalError(400, wrong)
    if len(documents) == 1:
        return dict(documents[0])
    return {"pipeline_spec": documents[0], "platform_spec": documents[1]}
