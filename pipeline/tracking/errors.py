"""What can go wrong with an MLflow server, in two kinds: nothing can be sent for now, or this one item is not taken."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from trainer_module.errors import PetsegError

_STATUS_IN_TEXT: Final = re.compile(r"failed with error code (\d{3})")
_CAUSE: Final = re.compile(r"^.*\(Caused by ")
"""What urllib3's errors say before what happened."""

_NO_ANSWER: Final = "failed with exception"
_LONGEST_REASON: Final = 300


class TrackerError(PetsegError):
    """The server cannot be told now; everything is kept."""


class RefusedError(TrackerError):
    """The server does not take an item; it may take the others."""


@contextmanager
def told(uri: str) -> Iterator[None]:
    """Turns what MLflow's client raises into this module's errors, with what to do."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise _explained(uri, _status(error), str(error)) from error
    except requests.RequestException as error:
        response: Any = error.response
        raise _explained(uri, None if response is None else response.status_code, str(error)) from error


def _status(error: Any) -> int | None:
    """Returns the status that the server answered with; None where it did not answer."""
    if in_text := _STATUS_IN_TEXT.search(str(error)):
        return int(in_text[1])
    if _NO_ANSWER in str(error):
        return None
    return int(error.get_http_status_code())


def _explained(uri: str, status: int | None, text: str) -> TrackerError:
    reason = " ".join(text.split())
    if status is not None and len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]} …"
    if status is None:
        return TrackerError(f"{uri} does not answer: {_CAUSE.sub('', reason).rstrip(')')}")
    if status == 401:
        return TrackerError(
            f"{uri} does not let petseg in (401): check MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )
    if status == 403:
        return RefusedError(f"{uri} does not allow it to the user whose credentials petseg has (403)")
    if "/api/2.0/mlflow" in reason and status == 404 and "RESOURCE_DOES_NOT_EXIST" not in reason:
        return TrackerError(f"{uri} is no MLflow server: {reason}")
    if status == 413:
        return RefusedError(f"larger than {uri}, or a proxy before it, takes (413): raise its limit, then sync again")
    return RefusedError(f"{uri} does not take it ({status}): {reason}")
