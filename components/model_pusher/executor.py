"""Pushes a blessed model unless the newest served version is the same, file by file."""

import hashlib
from typing import Any

import tensorflow as tf
from absl import logging
from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from components.model_pusher.versions import newest_version

ALREADY_SERVED_PROPERTY = "already_served"
_CHUNK_BYTES = 1 << 20


class Executor(pusher_executor.Executor):
    """ModelPusher's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes as TFX's Pusher does, or marks the model as not pushed and names the version that is the same."""
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination)
        served = newest_version(destination.filesystem.base_directory)
        if (
            served is None
            or not self.CheckBlessing(input_dict)
            or not same_files(self.GetModelPath(input_dict), served)
        ):
            super().Do(input_dict, output_dict, exec_properties)
            return
        logging.info("The newest served version %s is this model; nothing is pushed.", served)
        pushed_model = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        pushed_model.set_string_custom_property(ALREADY_SERVED_PROPERTY, served)
        self._MarkNotPushed(pushed_model)


def same_files(one: str, other: str) -> bool:
    """Returns whether two directories hold the same files, byte by byte; empty directories do not count."""
    files = _files(one)
    return files == _files(other) and all(_digest(f"{one}/{file}") == _digest(f"{other}/{file}") for file in files)


def content_digest(directory: str) -> str:
    """Returns a digest of the names and bytes of all files of a directory, wherever it is."""
    digest = hashlib.sha256()
    for file in sorted(_files(directory)):
        digest.update(f"{file}={_digest(f'{directory}/{file}')};".encode())
    return digest.hexdigest()


def _files(directory: str) -> dict[str, int]:
    """Returns each file below a directory, by its path from there, with its size in bytes."""
    found = {}
    for parent, _, names in tf.io.gfile.walk(directory):
        for name in names:
            path = tf.io.gfile.join(parent, name)
            found[path.removeprefix(directory).lstrip("/")] = tf.io.gfile.stat(path).length
    return found


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
