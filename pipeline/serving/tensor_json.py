"""Arrays as TensorFlow Serving's REST protocol writes them, by rows (`instances`) and by columns (`inputs`).

Bytes are `{"b64": "…"}`; outputs whose name ends in `_bytes` are written so. See
https://www.tensorflow.org/tfx/serving/api_rest.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from pipeline.serving.limits import RefusedError
from pipeline.serving.model import Arrays, Signature, TensorShape
from pipeline.suggestions import nearest
from trainer_module import features

_BYTES_SUFFIX: Final = "_bytes"
_MAX_AXES: Final = 32
_WHITE_SPACE: Final = b" \t\n\v\f\r"
_PADDING: Final = b"=."


@dataclass(frozen=True)
class PredictRequest:
    """The body of a request of `:predict`."""

    signature: str
    by_rows: bool
    values: Any

    @classmethod
    def parse(cls, body: bytes) -> "PredictRequest":
        """Reads the JSON of a request.

        Raises:
          RefusedError: It is no JSON, or has not exactly one of `instances` and `inputs`.

        Example:
          >>> PredictRequest.parse(b'{"instances": [1.0, 2.0]}')
          PredictRequest(signature='serving_default', by_rows=True, values=[1.0, 2.0])
        """
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RefusedError(400, f"the request is no JSON: {error}") from error
        if not isinstance(document, dict):
            raise RefusedError(400, 'the request has to be a JSON object, such as {"instances": […]}.')
        signature = document.get("signature_name") or features.SERVING_SIGNATURE
        if not isinstance(signature, str):
            raise RefusedError(400, f"signature_name has to be a string, not {_type(signature)}.")
        if ("instances" in document) == ("inputs" in document):
            raise RefusedError(400, "the request has to have exactly one of 'instances' (rows) and 'inputs' (columns).")
        by_rows = "instances" in document
        return cls(signature, by_rows, document["instances" if by_rows else "inputs"])

    def arrays(self, signature: Signature) -> dict[str, NDArray[Any]]:
        """Returns the request's arrays, with the types and shapes that the signature takes.

        Raises:
          RefusedError: An input is missing, or has another type or shape.
        """
        columns = _columns_of_rows(self.values, signature) if self.by_rows else _columns(self.values, signature)
        arrays = {name: _array(columns[name], name, tensor) for name, tensor in signature.inputs.items()}
        if signature.is_batched:
            lengths = {name: len(array) for name, array in arrays.items()}
            if len(set(lengths.values())) > 1:
                raise RefusedError(400, f"the inputs have to have equally many rows; they have {lengths}.")
            if not all(lengths.values()):
                raise RefusedError(400, "the request has no rows; give at least one.")
        return arrays


def response(outputs: Arrays, by_rows: bool) -> bytes:
    """Returns the JSON of an answer: `predictions` for rows, `outputs` for columns; a lone output goes without name.

    Raises:
      RefusedError: Rows are wanted of outputs that have none.
    """
    if by_rows and len({array.shape[:1] for array in outputs.values()} - {()}) != 1:
        raise RefusedError(
            400, "the outputs of this signature have no axis of rows in common; ask by columns ('inputs')."
        )
    named: dict[str, Any] = {name: _writable(array, name) for name, array in outputs.items()}
    lone = next(iter(named.values())) if len(named) == 1 else None
    if not by_rows:
        document = {"outputs": named if lone is None else lone}
    elif lone is not None:
        document = {"predictions": lone}
    else:
        rows = len(next(iter(named.values())))
        document = {"predictions": [{name: values[row] for name, values in named.items()} for row in range(rows)]}
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def encoded(value: bytes) -> dict[str, str]:
    """Returns bytes as the protocol writes them."""
    return {"b64": base64.b64encode(value).decode()}


def decoded(text: str) -> bytes:
    """Returns the bytes of a base64 text, of the texts that TensorFlow Serving takes.

    Its decoder is `absl::Base64Unescape`: the standard alphabet; white space anywhere; at the end no padding or all of
    it, where a dot stands for `=`, too.

    Raises:
      ValueError: It is none.
    """
    written = text.encode("ascii").translate(None, _WHITE_SPACE)
    digits = written.rstrip(_PADDING)
    padding, missing = len(written) - len(digits), -len(digits) % 4
    data = base64.b64decode(digits + b"=" * missing, validate=True)
    if padding not in (0, missing):
        raise ValueError(f"Its padding is {padding} long, and not {missing}")
    return data


def _is_encoded(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _columns_of_rows(rows: Any, signature: Signature) -> Mapping[str, Any]:
    if not isinstance(rows, list) or not rows:
        raise RefusedError(400, f"'instances' has to be a list of at least one row, not {_type(rows)}.")
    named = [isinstance(row, dict) and not _is_encoded(row) for row in rows]
    names = [*signature.inputs]
    if any(named) != all(named):
        raise RefusedError(400, "'instances' mixes rows with named inputs and rows without; use one of them.")
    if not named[0]:
        return {_lone_input(signature, "each row of 'instances'"): rows}
    for index, row in enumerate(rows):
        if row.keys() != set(names):
            raise RefusedError(400, f"row {index} of 'instances' has the inputs {_names(row)}; expected {names}.")
    return {name: [row[name] for row in rows] for name in names}


def _columns(columns: Any, signature: Signature) -> Mapping[str, Any]:
    if not isinstance(columns, dict) or _is_encoded(columns):
        return {_lone_input(signature, "'inputs'"): columns}
    for name in signature.inputs:
        if name not in columns:
            like = f" (did you mean {name!r} by {nearest(name, columns)!r}?)" if columns else ""
            raise RefusedError(400, f"'inputs' has no input {name!r}; it has {_names(columns)}{like}.")
    return columns


def _lone_input(signature: Signature, place: str) -> str:
    if len(signature.inputs) != 1:
        raise RefusedError(400, f"{place} has to be an object with the inputs {[*signature.inputs]}.")
    return next(iter(signature.inputs))


def _array(value: Any, name: str, tensor: TensorShape) -> NDArray[Any]:
    array = _strings(value, name) if tensor.dtype == object else _numbers(value, name, tensor.dtype)
    expected = tensor.shape
    if expected is not None and (
        len(expected) != array.ndim
        or any(size not in (None, had) for size, had in zip(expected, array.shape, strict=True))
    ):
        wanted = ", ".join("any" if size is None else str(size) for size in expected)
        raise RefusedError(400, f"input {name!r} has to have the shape [{wanted}]; it has {[*array.shape]}.")
    return array


def _strings(value: Any, name: str) -> NDArray[np.object_]:
    """Returns an array of bytes from nested lists of strings and `{"b64": …}`."""
    shape: list[int] = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    if len(shape) > _MAX_AXES:
        raise RefusedError(400, f"the lists of input {name!r} are {len(shape)} deep; {_MAX_AXES} are the most.")
    leaves: list[bytes] = []
    _add_strings(value, name, shape, leaves)
    array = np.empty(len(leaves), object)
    array[:] = leaves
    return array.reshape(shape)


def _add_strings(value: Any, name: str, shape: list[int], leaves: list[bytes]) -> None:
    if isinstance(value, list):
        if not shape or len(value) != shape[0]:
            raise RefusedError(400, f"the lists of input {name!r} have to be equally long, and equally deep.")
        for item in value:
            _add_strings(item, name, shape[1:], leaves)
    elif shape:
        raise RefusedError(400, f"the lists of input {name!r} have to be equally long, and equally deep.")
    else:
        leaves.append(_string(value, name))


def _string(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not _is_encoded(value):
        raise RefusedError(400, f'input {name!r} takes strings, or bytes as {{"b64": "…"}}, not {_type(value)}.')
    try:
        return decoded(value["b64"])
    except ValueError as error:
        raise RefusedError(400, f"the b64 of input {name!r} is no base64: {error}.") from error


def _numbers(value: Any, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise RefusedError(400, f"the lists of input {name!r} have to be equally long, and equally deep.") from error
    kinds = {"f": "fiu", "b": "b"}.get(dtype.kind, "iu")
    if array.dtype.kind not in kinds and array.size:
        raise RefusedError(400, f"input {name!r} takes numbers of the type {dtype}; {_kind(array)} came.")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(converted, array):
        raise RefusedError(400, f"a number of input {name!r} does not fit into {dtype}.")
    if dtype.kind == "f" and not np.isfinite(converted).all():
        raise RefusedError(400, f"a number of input {name!r} does not fit into {dtype}.")
    return converted


def _kind(array: NDArray[Any]) -> str:
    return {"f": "fractions", "b": "truth values", "U": "strings"}.get(array.dtype.kind, "something else")


def _writable(array: NDArray[Any], name: str) -> Any:
    """Returns what orjson writes: numbers stay an array, strings become lists."""
    if array.dtype != object:
        return np.ascontiguousarray(array)
    as_bytes = name.endswith(_BYTES_SUFFIX)

    def written(value: Any) -> Any:
        if isinstance(value, list):
            return [written(item) for item in value]
        return encoded(value) if as_bytes else value.decode(errors="replace")

    return written(array.tolist())


def _names(mapping: Mapping[str, Any]) -> list[str]:
    return [*mapping][:10]


def _type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
