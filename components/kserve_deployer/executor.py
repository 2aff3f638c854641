"""Deploys the pushed model, or says why there is nothing to deploy.

KServe puts what is in a storage URI at `/mnt/models`, where TensorFlow Serving looks for folders named by numbers and
serves the highest. The push destination itself would not do: each server would serve whatever is newest there, a canary
like the others. A version's own folder would not do either: its number would be lost. So each deployed version gets a
folder `.kserve/<version>-only/<version>` there, which holds nothing else. On a volume its files are hard links, which
take no space; in a bucket copies.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs

from components.artifact_properties import (
    ALREADY_SERVED,
    CANARY_ENDING,
    DEPLOYED,
    DEPLOYED_AS_CANARY,
    DEPLOYED_STORAGE_URI,
    DEPLOYED_URL,
    DEPLOYED_VERSION,
    DEPLOYMENT_SUMMARY,
    PUSHED_DESTINATION,
)
from components.kserve_deployer.canary.example_images import example_images
from components.kserve_deployer.canary.expected import expected_difference
from components.kserve_deployer.canary.settings import WatchSettings
from components.kserve_deployer.canary.watch import Ending, Progress, WatchReport, WatchTask, watch
from components.kserve_deployer.cluster import Cluster, DeployRequest
from components.kserve_deployer.rollout import Outcome, deploy
from components.kserve_deployer.rollout import deployed as find_deployed
from components.kserve_deployer.service import version_of
from components.kubernetes_api import IN_CLUSTER, is_in_cluster
from components.model_pusher.push import push_directory
from components.model_pusher.version_store import make_readable_directory
from trainer_module.errors import ConfigError, ModelError

PUSHED_MODEL_KEY: Final = "pushed_model"
DEPLOYED_MODEL_KEY: Final = "deployed_model"
EXAMPLES_KEY: Final = standard_component_specs.EXAMPLES_KEY
REQUEST_KEY: Final = "deploy_request"
WATCH_KEY: Final = "watch"
DEPLOYMENT_FILE: Final = "deployment.json"
CANARY_FILE: Final = "canary.json"

_CLUSTER_SEES: Final = "gs://"
_FOLDERS: Final = ".kserve"
_SAVED_MODEL: Final = "saved_model.pb"
_REMOTE: Final = "://"


class Executor(base_executor.BaseExecutor):
    """KServeDeployer's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Deploys the version that was pushed, or that made a push needless; nothing when there is neither.

        A canary is watched, promoted or rolled back, if that is wanted; why is written beside what was deployed.

        Raises:
          ConfigError: The cluster cannot see the push destination.
          PetsegError: The model is not served.
        """
        request = DeployRequest.from_json(exec_properties[REQUEST_KEY])
        pushed = artifact_utils.get_single_instance(input_dict[PUSHED_MODEL_KEY])
        deployed = artifact_utils.get_single_instance(output_dict[DEPLOYED_MODEL_KEY])
        version = _served_version(pushed)
        if version is None:
            _leave_nothing(deployed, "no model was pushed")
            return
        if request.access.kubeconfig == IN_CLUSTER and not is_in_cluster():
            _leave_nothing(deployed, "there is no cluster here, as in a dry-run")
            return
        destination = push_directory(exec_properties)
        seen_at = _seen_at(request, destination)
        cluster = Cluster(request.access)
        storage_uri = f"{seen_at}/{provide_version_folder(destination, version)}"
        outcome = deploy(cluster, request.template, storage_uri, request.canary_percent)
        logging.info("%s: %s", request.access.name, outcome.summary)
        report = None
        is_served, is_canary = storage_uri == outcome.state.newest, storage_uri == outcome.state.canary
        if exec_properties.get(WATCH_KEY) and outcome.state.canary == storage_uri and outcome.state.percent:
            settings = WatchSettings.from_json(exec_properties[WATCH_KEY])
            report = _watch(cluster, settings, destination, outcome, input_dict)
            fileio.makedirs(deployed.uri)
            _write_json(f"{deployed.uri}/{CANARY_FILE}", report.as_json())
            after = find_deployed(cluster)
            is_canary = after.has_canary(storage_uri)
            is_served = is_canary or after.state.stable == storage_uri
        places = {DEPLOYED: int(is_served), DEPLOYED_AS_CANARY: int(is_canary)}
        _leave(deployed, {**places, **_properties(request, storage_uri, outcome, report)})


def _watch(
    cluster: Cluster,
    settings: WatchSettings,
    destination: str,
    outcome: Outcome,
    input_dict: dict[str, list[types.Artifact]],
) -> WatchReport:
    """Watches the canary that was deployed, on images of the evaluated split."""
    stable, canary = version_of(outcome.state.stable), version_of(outcome.state.newest)
    expected = expected_difference(destination, stable, canary, settings.max_difference)
    images = example_images(artifact_utils.get_split_uri(input_dict[EXAMPLES_KEY], settings.split), settings.images)

    def log(progress: Progress) -> None:
        if progress.said:
            logging.info("Version %s, %d requests: %s.", progress.canary, progress.pairs, progress.said)

    report = watch(cluster, WatchTask(settings, images, expected), log)
    logging.info("%s", report.summary)
    return report


def _properties(
    request: DeployRequest, storage_uri: str, outcome: Outcome, report: WatchReport | None
) -> dict[str, Any]:
    """Returns what is left of a deployment: the traffic after it, and what became of a canary that was watched."""
    summary, url, ending = outcome.summary, outcome.url, {}
    if report is not None:
        after = report.outcome or outcome
        changed = f"; {after.summary}" if report.ending is not Ending.GONE else ""
        summary, url, ending = f"{report.summary}{changed}", after.url, {CANARY_ENDING: report.ending.value}
    return {
        DEPLOYMENT_SUMMARY: f"{request.access.namespace}/{request.access.name}: {summary}",
        DEPLOYED_VERSION: version_of(storage_uri),
        DEPLOYED_STORAGE_URI: storage_uri,
        DEPLOYED_URL: url,
        **ending,
    }


def provide_version_folder(destination: str, version: str) -> str:
    """Makes the folder of a version unless it is there; returns its path below the push destination.

    Args:
      destination: The push destination, a path or a URI.
      version: Name of the version's own directory there.

    Raises:
      ModelError: There is no such version, or the folder cannot be made.
    """
    source = f"{destination}/{version}"
    # The ending keeps one version's prefix in a bucket from being the beginning of another's.
    name = f"{_FOLDERS}/{version}-only"
    folder = f"{destination}/{name}"
    try:
        if _REMOTE in destination:
            _copy_objects(source, f"{folder}/{version}")
        else:
            _link_files(Path(source), Path(folder), version)
    except OSError as error:
        raise ModelError(
            f"cannot make {folder!r}, which KServe is to read version {version} from: {error.strerror or error}"
        ) from error
    return name


def _served_version(pushed: types.Artifact) -> str | None:
    """Returns the version that is to be served; None when no model was blessed.

    In a pod of Kubeflow Pipelines only the end of its path is what it was when the Pusher wrote it.
    """
    for name in (PUSHED_DESTINATION, ALREADY_SERVED):
        directory: str = pushed.get_string_custom_property(name)
        if directory:
            return directory.rstrip("/").rpartition("/")[2]
    return None


def _seen_at(request: DeployRequest, destination: str) -> str:
    """Returns where the cluster sees the push destination, which a runtime parameter may have changed."""
    if request.storage_uri is not None and destination == request.push_destination:
        return request.storage_uri
    if request.storage_uri is not None or not destination.startswith(_CLUSTER_SEES):
        raise ConfigError(
            f"the model was pushed to {destination!r}, and where the cluster sees that is not known: "
            f"push.kserve.storage_uri is {request.storage_uri!r}, for {request.push_destination!r}"
        )
    return destination


def _leave_nothing(deployed: types.Artifact, why: str) -> None:
    logging.info("Nothing is deployed: %s.", why)
    _leave(deployed, {DEPLOYED: 0, DEPLOYMENT_SUMMARY: f"nothing: {why}"})


def _leave(deployed: types.Artifact, properties: dict[str, Any]) -> None:
    for name, value in properties.items():
        put = deployed.set_int_custom_property if isinstance(value, int) else deployed.set_string_custom_property
        put(name, value)
    fileio.makedirs(deployed.uri)
    _write_json(f"{deployed.uri}/{DEPLOYMENT_FILE}", properties)


def _write_json(file: str, value: Mapping[str, Any]) -> None:
    with fileio.open(file, "w") as stream:
        stream.write(json.dumps(value, indent=2) + "\n")


def _link_files(source: Path, folder: Path, version: str) -> None:
    """Makes the folder on this file system in one step: whoever sees it sees all of it."""
    if (folder / version / _SAVED_MODEL).is_file():
        return
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        make_readable_directory(part)
        shutil.copytree(source, part / version, copy_function=_link)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy(source, target)


def _copy_objects(source: str, target: str) -> None:
    """Copies the objects of a bucket; the graph last, since a version without it is none."""
    import tensorflow as tf

    gfile = tf.io.gfile
    if gfile.exists(f"{target}/{_SAVED_MODEL}"):
        return
    files = [f"{parent.rstrip('/')}/{name}" for parent, _, names in gfile.walk(source) for name in names]
    for file in sorted(files, key=lambda path: path == f"{source}/{_SAVED_MODEL}"):
        copy = f"{target}{file.removeprefix(source)}"
        gfile.makedirs(copy.rpartition("/")[0])
        gfile.copy(file, copy, overwrite=True)
