"""Where the launcher of Kubeflow Pipelines puts an artifact in a pod: `gs://b/k` is at `/gcs/b/k`, and so on.

The launcher downloads every input to its path before the component starts, and uploads what is at the paths of the
outputs afterwards. TFX opens URIs itself, and TensorFlow knows neither `s3://` nor `minio://`; so in a pod TFX is given
the paths, and the server is told the URIs.
"""

import os
import re
from typing import Final

LAUNCHER_ROOT_VARIABLE: Final = "PETSEG_LAUNCHER_ROOT"
"""Environment variable with the directory that stands for `/`, where no pod is at hand."""

_DIRECTORY_BY_SCHEME: Final = {"gs": "gcs", "s3": "s3", "minio": "minio"}
_REMOTE: Final = re.compile(rf"^({'|'.join(_DIRECTORY_BY_SCHEME)})://")


def local_path(uri: str) -> str:
    """Returns the path of an artifact in the pod; another text as it is."""
    return _REMOTE.sub(lambda match: f"{_root()}/{_DIRECTORY_BY_SCHEME[match[1]]}/", uri)


def workers_path(uri: str) -> str:
    """Returns a `gs://` URI as it is, for workers of Beam that share no disk with the pod; else as `local_path`."""
    return uri if uri.startswith("gs://") else local_path(uri)


def remote_uri(text: str) -> str:
    """Returns the URI of a path that `local_path` returned; another text as it is."""
    for scheme, directory in _DIRECTORY_BY_SCHEME.items():
        prefix = f"{_root()}/{directory}/"
        if text.startswith(prefix):
            return f"{scheme}://{text.removeprefix(prefix)}"
    return text


def _root() -> str:
    return os.environ.get(LAUNCHER_ROOT_VARIABLE, "").rstrip("/")
