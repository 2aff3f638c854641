"""Digests of a model's files, of each and of all, and whether they are still as they were pushed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Final

import tensorflow as tf

from trainer_module import features
from trainer_module.errors import ModelError

PUSH_FILE: Final = f"{features.ASSETS_DIRECTORY}/{features.PUSH_ASSET}"
CHECKSUMS_FILE: Final = f"{features.ASSETS_DIRECTORY}/{features.CHECKSUMS_ASSET}"
WRITTEN_AT_PUSH: Final = (PUSH_FILE, CHECKSUMS_FILE)
"""What tells one push of a model from another; the rest is the model."""

_CHUNK_BYTES: Final = 1 << 20


def model_files(directory: str) -> list[str]:
    """Returns the paths, from the directory on, of the files that are the model, sorted."""
    return sorted(set(_files(directory)) - {*WRITTEN_AT_PUSH})


def content_digest(directory: str) -> str:
    """Returns a digest of the names and bytes of a model, wherever it is and whenever it was pushed."""
    digest = hashlib.sha256()
    for file in model_files(directory):
        digest.update(f"{file}={_digest(f'{directory}/{file}')};".encode())
    return digest.hexdigest()


def checksums(directory: str, others: Mapping[str, bytes]) -> bytes:
    """Returns the content of the checksums' file: the SHA-256 of each file of a model, and of others pushed with it."""
    digests = {file: _digest(f"{directory}/{file}") for file in model_files(directory)}
    digests |= {file: hashlib.sha256(content).hexdigest() for file, content in others.items()}
    return json.dumps({"sha256": digests}, indent=2, sort_keys=True).encode()


def differences(directory: str) -> list[str]:
    """Returns what is not as it was pushed, a line a file; nothing when all is.

    Raises:
      ModelError: The version has no checksums.
    """
    try:
        pushed = _recorded(directory)
    except (ValueError, KeyError, TypeError) as error:
        return [f"{CHECKSUMS_FILE} has changed, and cannot be read: {error}"]
    found = {file for file in _files(directory) if file != CHECKSUMS_FILE}
    lines = [f"{file} is missing" for file in sorted(set(pushed) - found)]
    lines += [f"{file} was not pushed" for file in sorted(found - set(pushed))]
    changed = (file for file in sorted(found & set(pushed)) if _digest(f"{directory}/{file}") != pushed[file])
    return lines + [f"{file} has changed" for file in changed]


def _recorded(directory: str) -> dict[str, str]:
    try:
        with tf.io.gfile.GFile(f"{directory}/{CHECKSUMS_FILE}", "rb") as file:
            return dict(json.loads(file.read())["sha256"])
    except tf.errors.NotFoundError as error:
        raise ModelError(
            f"{directory!r} cannot be verified: it has no {CHECKSUMS_FILE}, so this version of petseg did not push it."
        ) from error


def _files(directory: str) -> list[str]:
    return [
        tf.io.gfile.join(parent, name).removeprefix(directory).lstrip("/")
        for parent, _, names in tf.io.gfile.walk(directory)
        for name in names
    ]


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
