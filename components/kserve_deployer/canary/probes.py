"""Asks the pods of both versions about the same images, and keeps what they answered.

The requests go to the pods themselves, by way of the API server: so it is certain which version answers, they reach the
canary whatever the route does, and the same rights do outside of the cluster and inside. What is measured of an answer
has the API server's time in it, of both versions alike.
"""

import base64
import binascii
import io
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from components.kserve_deployer.canary.verdict import Evidence, Requests
from components.kserve_deployer.cluster import Cluster
from components.kserve_deployer.pods import pod
from components.kserve_deployer.service import VERSION_LABEL
from components.kubernetes_api import Object
from trainer_module.features import MASK_PNG

_CONTAINER: Final = "kserve-container"
_PORT: Final = 8080
"""Of TensorFlow Serving's REST interface in KServe's runtime, where a pod does not say."""

_OK: Final = 200
_SHOWN_REASONS: Final = 3
_LONGEST_REASON: Final = 200


@dataclass(frozen=True)
class Reply:
    """What a version answered to one image."""

    seconds: float
    mask: NDArray[np.uint8] | None
    """[height, width], class ids; None where it failed."""

    problem: str = ""
    """Why it failed."""

    is_answer: bool = True
    """Whether a pod answered anything, well or not, so that it has counted the request."""


@dataclass
class Tally:
    """All replies of both versions so far."""

    pairs: int = 0
    problems: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    """Of the stable version and of the canary: why requests failed, and how often."""

    answered: list[int] = field(default_factory=lambda: [0, 0])
    """How many requests the pods of each have counted themselves."""

    failed_there: list[int] = field(default_factory=lambda: [0, 0])
    """And how many of those as failed."""

    seconds: list[tuple[float, float]] = field(default_factory=list)
    differences: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By image."""

    def add(self, image: int, stable: Reply, canary: Reply) -> None:
        """Adds what both replied to one image."""
        self.pairs += 1
        for place, reply in enumerate((stable, canary)):
            self.answered[place] += reply.is_answer
            self.failed_there[place] += reply.is_answer and reply.mask is None
            if reply.mask is None:
                self.problems[place][reply.problem] += 1
        if stable.mask is None or canary.mask is None:
            return
        self.seconds.append((stable.seconds, canary.seconds))
        same_size = stable.mask.shape == canary.mask.shape
        self.differences[image].append(float((stable.mask != canary.mask).mean()) if same_size else 1.0)

    def evidence(self, traffic: tuple[Requests, Requests] | None) -> Evidence:
        """Returns what the verdict goes by; `traffic` as the pods counted it, without the requests in here."""
        stable, canary = (Requests(self.pairs, problems.total()) for problems in self.problems)
        return Evidence(
            stable=stable,
            canary=canary,
            seconds=np.array(self.seconds, np.float64).reshape(-1, 2),
            differences=np.array([np.mean(shares) for shares in self.differences.values()], np.float64),
            traffic=traffic,
        )

    def reasons(self) -> dict[str, dict[str, int]]:
        """Returns the most frequent reasons for which requests to each version failed."""
        named = zip(("stable", "canary"), self.problems, strict=True)
        return {name: dict(problems.most_common(_SHOWN_REASONS)) for name, problems in named}


class Prober:
    """Sends one image at a time to the pods of a version, in turns."""

    def __init__(self, cluster: Cluster, images: Sequence[bytes], timeout_seconds: float) -> None:
        """Constructs the prober.

        Args:
          cluster: Where the pods are.
          images: Encoded as JPEG or PNG.
          timeout_seconds: Longest wait for an answer.
        """
        self._cluster = cluster
        self._bodies = [_body(image) for image in images]
        self._timeout_seconds = timeout_seconds
        self._turns: Counter[str] = Counter()

    def pair(self, number: int, pods: tuple[Sequence[Object], Sequence[Object]], tally: Tally) -> None:
        """Sends one image to both versions, the first one first every other time, and adds what they reply.

        Args:
          number: How many pairs were sent before.
          pods: Of the stable version and of the canary, ready; one of them may have none.
          tally: What it is added to.

        Raises:
          ClusterError: The cluster cannot be asked, or the account may not ask its pods; nothing is added.
        """
        image = number % len(self._bodies)
        order = (0, 1) if number % 2 == 0 else (1, 0)
        replies = {place: self._ask(pods[place], image) for place in order}
        tally.add(image, replies[0], replies[1])

    def _ask(self, pods: Sequence[Object], image: int) -> Reply:
        if not pods:
            return Reply(0.0, None, "no pod is ready", is_answer=False)
        version = pods[0]["metadata"]["labels"][VERSION_LABEL]
        asked = pods[self._turns[version] % len(pods)]
        self._turns[version] += 1
        name, path = asked["metadata"]["name"], f"/v1/models/{self._cluster.access.name}:predict"
        started = time.perf_counter()
        answer = self._cluster.ask_pod(name, port_of(asked), path, self._bodies[image], self._timeout_seconds)
        seconds = time.perf_counter() - started
        if answer.status != _OK:
            told = " ".join(_told(answer.text).split())[:_LONGEST_REASON]
            return Reply(seconds, None, f"{answer.status}: {told}", is_answer=answer.status < 502)
        try:
            return Reply(seconds, _mask(answer.text))
        except (ValueError, KeyError, IndexError, TypeError, OSError, binascii.Error) as error:
            return Reply(seconds, None, f"200, but no {MASK_PNG}: {type(error).__name__}")


def ready_pods(pods: Sequence[Object], version: str) -> list[Object]:
    """Returns the pods that serve a version and are not about to end."""
    return [
        each
        for each in pods
        if pod(each).version == version and pod(each).is_ready and "deletionTimestamp" not in each["metadata"]
    ]


def port_of(manifest: Object) -> int:
    """Returns where a pod listens to HTTP."""
    containers = manifest.get("spec", {}).get("containers", [])
    ports = [container.get("ports") for container in containers if container["name"] == _CONTAINER]
    return int(ports[0][0]["containerPort"]) if ports and ports[0] else _PORT


def _body(image: bytes) -> Object:
    return {"instances": [{"b64": base64.b64encode(image).decode("ascii")}]}


def _mask(text: str) -> NDArray[np.uint8]:
    """Reads the mask out of TensorFlow Serving's answer to one image."""
    from PIL import Image

    encoded = json.loads(text)["predictions"][0][MASK_PNG]["b64"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))))


def _told(text: str) -> str:
    """Returns what an answer that is no success says, of TensorFlow Serving or of the API server."""
    try:
        said: Any = json.loads(text)
    except ValueError:
        return text
    return str(said.get("error") or said.get("message") or text) if isinstance(said, dict) else text
