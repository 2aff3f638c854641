"""What can go wrong between petseg and a cluster's API, each in one sentence with what to do about it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from components.http_requests import TEMPORARY, NoAnswer, cause_of, innermost, no_way, server_message
from trainer_module.errors import PetsegError

_CONFLICT: Final = re.compile(r'conflicts? with "?([^":]+)"?')


class ClusterError(PetsegError):
    """A request to the cluster failed."""

    def __init__(self, message: str, status: int | None = None, *, is_temporary: bool = False) -> None:
        """Constructs the error.

        Args:
          message: What the user sees.
          status: HTTP status of the answer; None when there was none.
          is_temporary: Whether the same request may succeed later.
        """
        super().__init__(message)
        self.status = status
        self.is_temporary = is_temporary


class NotJsonError(Exception):
    """The cluster answered with something else than JSON."""


@contextmanager
def translated_errors(what: str, host: str, namespace: str) -> Iterator[None]:
    """Turns what the block's requests raise into errors that say what to do.

    Args:
      what: What the block does, as it reads after "cannot": `"read the pods"`.
      host: URL of the cluster's API.
      namespace: Where the objects are.

    Raises:
      ClusterError: A request failed.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise _refusal(what, host, namespace, error) from None
    except NotJsonError:
        raise ClusterError(
            f"cannot {what}: {host} answered with something else than JSON, as a login page does; check the cluster's "
            "address in the kubeconfig"
        ) from None
    except HTTPError as error:
        raise _no_answer(what, host, error) from None


def details_of(error: Any) -> dict[str, Any]:
    """Returns the details of Kubernetes' `Status` in an answer that is no success; empty where it sent none."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return dict(status.get("details") or {}) if isinstance(status, dict) else {}


def _refusal(what: str, host: str, namespace: str, error: Any) -> ClusterError:
    status, said = error.status, server_message(error.body)
    told = f": {said}" if said else ""
    reason = {
        401: f"{host} answered 401, not authenticated{told}; renew the login of the kubeconfig's user",
        403: f"{host} answered 403, not allowed{told}; the account needs the rights of "
        f"kubeflow/manifests/kserve/deployer.yaml in the namespace {namespace!r}",
        404: _not_found(namespace, error),
        409: _conflict(said),
        429: f"{host} answered 429, too many requests{told}; try again later",
    }.get(status, f"{host} answered {status}{told}")
    if status >= 500:
        reason += "; try again later"
    return ClusterError(f"cannot {what}: {reason}", status, is_temporary=status in TEMPORARY)


def _not_found(namespace: str, error: Any) -> str:
    if details_of(error).get("kind") == "namespaces":
        return f"there is no namespace {namespace!r} (push.kserve.namespace)"
    return (
        "the cluster knows no InferenceServices (serving.kserve.io/v1beta1): is KServe installed? "
        "`kubectl get crd inferenceservices.serving.kserve.io` tells"
    )


def _conflict(said: str) -> str:
    others = ", ".join(dict.fromkeys(_CONFLICT.findall(said)))
    who = f"{others} has" if others else "somebody else has"
    return (
        f"{who} set fields that petseg sets, to other values: {said}; undo that change, or take the fields over with "
        "--set push.kserve.force_conflicts=true"
    )


def _no_answer(what: str, host: str, error: BaseException) -> ClusterError:
    why, cause = cause_of(error)
    reason = {
        NoAnswer.PROXY: no_way(host, cause),
        NoAnswer.UNKNOWN_NAME: f"the name in {host} cannot be resolved",
        NoAnswer.UNTRUSTED: f"no trusted TLS connection to {host}: {cause}",
        NoAnswer.UNREACHABLE: f"{host} cannot be reached",
        NoAnswer.TOO_LATE: f"{host} did not answer in time",
        NoAnswer.BROKEN_OFF: f"the connection to {host} broke off ({innermost(cause)})",
    }[why]
    advice = "check push.kserve.kubeconfig and push.kserve.context: `kubectl cluster-info` with them tells"
    return ClusterError(f"cannot {what}: {reason}; {advice}", is_temporary=why is not NoAnswer.UNTRUSTED)
