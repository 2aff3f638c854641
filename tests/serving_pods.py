"""Pods that serve a model: small HTTP servers that answer as TensorFlow Serving's REST interface does.

with ServingPod() as stable, ServingPod(differs=True) as canary:
    place(api, {"1": stable, "2": canary})

What they answer was compared with the interface's description
(https://www.tensorflow.org/tfx/serving/api_rest): rows in, rows out, `_bytes` as base64, errors as `{"error": …}`.
"""

import base64
import io
import json
import time
from typing import Any

import numpy as np
from fake_http_api import Answer, FakeApi, Request
from fake_kserve_controller import make_pod
from fake_kubernetes_api import FakeKubernetesApi
from PIL import Image

MODEL = "pets"
METRICS = "/monitoring/prometheus/metrics"


def drawn_images(count: int) -> list[bytes]:
    """Returns small PNGs, no two alike."""
    generator = np.random.default_rng(7)
    return [_png(generator.integers(0, 256, (24, 32), np.uint8)) for _ in range(count)]


class ServingPod(FakeApi):
    """The server of one pod; its model sees dark, gray and light."""

    def __init__(
        self,
        *,
        differs: bool = False,
        fails_every: int = 0,
        seconds: float = 0.0,
        counts: bool = False,
        others: tuple[int, int] = (0, 0),
    ) -> None:
        """Starts the server.

        Args:
          differs: Whether its model takes light for dark.
          fails_every: Which requests fail, as 3 for each third; 0: none.
          seconds: What each answer takes.
          counts: Whether it exports metrics.
          others: How many requests of other clients it is to have answered since it was first asked, well and not.
        """
        super().__init__()
        self.differs = differs
        self.fails_every = fails_every
        self.seconds = seconds
        self.counts = counts
        self.others = others
        self.statuses = {"OK": 0, "INTERNAL": 0}
        self._reads = 0

    @property
    def port(self) -> int:
        return int(self.host.rpartition(":")[2])

    @property
    def predictions(self) -> int:
        return self.count(f"POST /v1/models/{MODEL}:predict")

    def answer(self, request: Request) -> Answer:
        if request.path == METRICS and self.counts:
            return self._metrics()
        if request.path != f"/v1/models/{MODEL}:predict" or request.method != "POST":
            return Answer('{ "error": "Malformed request" }', 400)
        time.sleep(self.seconds)
        if self.fails_every and self.predictions % self.fails_every == 0:
            self.statuses["INTERNAL"] += 1
            return Answer('{ "error": "out of memory" }', 500)
        self.statuses["OK"] += 1
        rows = [self._row(base64.b64decode(instance["b64"])) for instance in request.json["instances"]]
        return Answer(json.dumps({"predictions": rows}))

    def _row(self, image: bytes) -> dict[str, Any]:
        gray = np.asarray(Image.open(io.BytesIO(image)))
        mask = (255 - gray if self.differs else gray) // 86
        return {"mask": mask[::4, ::4].tolist(), "mask_png_bytes": {"b64": base64.b64encode(_png(mask)).decode()}}

    def _metrics(self) -> Answer:
        """Writes the counter as TensorFlow Serving's exporter does; other clients come between two readings."""
        if self._reads:
            self.statuses["OK"] += self.others[0]
            self.statuses["INTERNAL"] += self.others[1]
            self.others = (0, 0)
        self._reads += 1
        lines = ["# TYPE :tensorflow:serving:request_count counter"]
        lines += [
            f':tensorflow:serving:request_count{{model_name="{name}",status="{status}"}} {count}'
            for name, factor in ((MODEL, 1), ("another", 100))
            for status, count in ((status, factor * count) for status, count in self.statuses.items())
        ]
        return Answer("\n".join(lines) + "\n", content_type="text/plain")


def place(api: FakeKubernetesApi, pods: dict[str, ServingPod | None]) -> None:
    """Has the cluster list a ready pod of each version, and lead to its server; None: nobody listens."""
    if hasattr(api.on_service_read, "makes_pods"):
        api.on_service_read.makes_pods = False
    api.pods, api.ports = [], {}
    for version, server in pods.items():
        api.pods.append(make_pod(MODEL, version))
        if server is not None:
            api.ports[api.pods[-1]["metadata"]["name"]] = server.port


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
