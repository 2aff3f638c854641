"""Whether an installation can do what the components need, a line a check.

    python -P -m petseg.run_module pipeline.kubeflow.self_test

The build of the image runs it, and anybody may run it in a pod. It needs no network and leaves nothing behind.

    ok    python         3.11.14
    ok    C library      glibc 2.41
    …
    FAIL  GPU            TensorFlow sees no GPU; …

Exit codes: 0 all is well, 1 a check failed.
"""

import getpass
import importlib
import io
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from pipeline.code_digest import installed_version
from pipeline.nodes import TRAINER, TRANSFORM, code_modules
from pipeline.terminal.streams import leave
from trainer_module.errors import PetsegError

LEAST_GLIBC: Final = (2, 39)
"""What the wheels of ml-metadata and tensorflow-data-validation were built for."""

MODULES: Final = (
    "apache_beam",
    "kfp",
    "ml_metadata",
    "tensorflow_data_validation",
    "tensorflow_datasets",
    "tensorflow_transform",
    "tfx.v1",
    *code_modules(),
    "pipeline.kubeflow.entrypoint",
)

_IMAGE_SIZE: Final = 56
_CLASSES: Final = 3


class Check(NamedTuple):
    """One thing to find out."""

    name: str
    run: Callable[[], str]
    """Returns what was found; raises when that will not do."""


class CheckError(PetsegError):
    """A check failed; the message says what was expected and what came."""


def check_python() -> str:
    """Returns Python's version, which the package's metadata must allow."""
    from packaging.specifiers import SpecifierSet

    required, found = metadata.metadata("petseg")["Requires-Python"], platform.python_version()
    if found not in SpecifierSet(required):
        raise CheckError(f"petseg needs Python {required}, this is {found}")
    return found


def check_c_library() -> str:
    """Returns the C library's version."""
    name, version = platform.libc_ver()
    numbers = tuple(int(number) for number in version.split(".")) if version else ()
    if name != "glibc" or numbers < LEAST_GLIBC:
        least = ".".join(map(str, LEAST_GLIBC))
        raise CheckError(f"expected glibc {least} or newer, found {name} {version}; Debian 13 and Ubuntu 24.04 have it")
    return f"{name} {version}"


def check_versions() -> str:
    """Returns how many direct dependencies are installed, all in a version that petseg's metadata allows."""
    wanted, wrong = versions_wanted()
    if wrong:
        raise CheckError("; ".join(wrong))
    return f"{len(wanted)} dependencies as petseg {metadata.version('petseg')} wants them"


def versions_wanted(extra: str = "") -> tuple[list[str], list[str]]:
    """Returns the names of petseg's direct dependencies, and what is wrong with their versions, a line for each.

    Args:
      extra: Name of an extra, whose dependencies alone are looked at. Empty: those that are always wanted.
    """
    from packaging.requirements import Requirement

    requirements = [Requirement(line) for line in metadata.requires("petseg") or []]
    always = [each for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
    of_extra = [each for each in requirements if each.marker and each.marker.evaluate({"extra": extra})]
    wanted = [each for each in of_extra if each not in always] if extra else always
    wrong = []
    for requirement in wanted:
        version = _version_or_none(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name}{requirement.specifier} is wanted, {version or 'none'} is installed")
    return [requirement.name for requirement in wanted], wrong


def check_user() -> str:
    """Returns who runs this and where it may write: a pod's user may have any number and no entry in /etc/passwd."""
    for folder in (Path.home(), Path(tempfile.gettempdir())):
        try:
            with tempfile.NamedTemporaryFile(dir=folder) as file:
                file.write(b"petseg")
        except OSError as error:
            raise CheckError(f"user {os.getuid()} cannot write to {str(folder)!r}: {error.strerror}") from error
    return f"{getpass.getuser()} ({os.getuid()}:{os.getgid()}) writes to {Path.home()} and {tempfile.gettempdir()}"


def check_imports() -> str:
    """Returns how many modules the components import."""
    for module in MODULES:
        importlib.import_module(module)
    # It only prints when it cannot import its own modules, and is empty then.
    if not hasattr(importlib.import_module("tensorflow_model_analysis"), "EvalConfig"):
        raise CheckError("tensorflow_model_analysis is empty: one of its imports failed (its message is above)")
    return f"{len(MODULES) + 1} modules"


def check_code() -> str:
    """Returns the digests of code that a package compiled from the same code names, too."""
    from pipeline.kubeflow.package import code_arguments

    digests = {component: code_arguments(component)[-1] for component in (TRANSFORM, TRAINER)}
    return ", ".join(f"{component} {digest}" for component, digest in digests.items())


def check_segmentation() -> str:
    """Draws a pet, writes and reads it as JPEG and its mask as PNG, and passes it through the network."""
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    from components.datasets.pet_drawing import draw_pet

    preprocessing: Any = importlib.import_module("trainer_module.preprocessing")
    networks: Any = importlib.import_module("trainer_module.networks")
    pet, trimap, _ = draw_pet(seed=0, index=0)
    jpeg, png = io.BytesIO(), io.BytesIO()
    Image.fromarray(pet).save(jpeg, "JPEG")
    Image.fromarray(trimap).save(png, "PNG")
    image = preprocessing.resize_image(preprocessing.decode_image(jpeg.getvalue()), _IMAGE_SIZE)
    mask = preprocessing.decode_mask(png.getvalue())
    if not np.array_equal(np.squeeze(mask.numpy(), -1), trimap):
        raise CheckError("a mask that was written as PNG and read again is another one")
    model = networks.build_model("blog", _IMAGE_SIZE, _CLASSES)
    logits = model(tf.cast(image[None], tf.float32) / 255).numpy()
    if logits.shape != (1, _IMAGE_SIZE, _IMAGE_SIZE, _CLASSES) or not np.isfinite(logits).all():
        raise CheckError(f"the network answered with {logits.dtype} {logits.shape}, or with numbers that are none")
    return f"{pet.shape[1]}×{pet.shape[0]} pixels to logits {logits.shape[1]}×{logits.shape[2]}×{logits.shape[3]}"


def check_metadata() -> str:
    """Stores and finds a type in an ML Metadata store in memory."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    connection = metadata_store_pb2.ConnectionConfig()
    connection.fake_database.SetInParent()
    store = metadata_store.MetadataStore(connection)
    store.put_artifact_type(metadata_store_pb2.ArtifactType(name="petseg"))
    if [found.name for found in store.get_artifact_types()] != ["petseg"]:
        raise CheckError("ML Metadata does not find the type that was stored")
    return "a store in memory"


def check_beam() -> str:
    """Runs a small Beam pipeline in this process."""
    import apache_beam as beam

    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline(runner="DirectRunner") as pipeline:
            total = pipeline | beam.Create([1, 2, 3]) | beam.CombineGlobally(sum)
            total | beam.Map(str) | beam.io.WriteToText(f"{folder}/sum", shard_name_template="")
        found = (Path(folder) / "sum").read_text(encoding="utf-8").strip()
    if found != "6":
        raise CheckError(f"a pipeline that adds 1, 2 and 3 wrote {found!r}")
    return "a pipeline in this process"


def check_gpu() -> str:
    """Returns the GPUs, each of which has computed a convolution."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise CheckError(
            f"TensorFlow {tf.__version__} sees no GPU; is this the image gpu, does the pod have a limit "
            "nvidia.com/gpu, and is the driver on the node? `nvidia-smi` in the pod tells"
        )
    for index in range(len(gpus)):
        with tf.device(f"/GPU:{index}"):
            tf.nn.conv2d(tf.ones([1, 8, 8, 3]), tf.ones([3, 3, 3, 4]), 1, "SAME").numpy()
    return ", ".join(str(tf.config.experimental.get_device_details(gpu).get("device_name")) for gpu in gpus)


CHECKS: Final = (
    Check("python", check_python),
    Check("C library", check_c_library),
    Check("versions", check_versions),
    Check("user", check_user),
    Check("imports", check_imports),
    Check("code", check_code),
    Check("segmentation", check_segmentation),
    Check("metadata", check_metadata),
    Check("beam", check_beam),
)
GPU_CHECK: Final = Check("GPU", check_gpu)


def run_checks(checks: Sequence[Check]) -> list[str]:
    """Runs the checks, says a line for each, and returns the names of those that failed."""
    failed = []
    for check in checks:
        start = time.monotonic()
        try:
            verdict, found = "ok", check.run()
        except Exception as error:  # noqa: BLE001 (whatever a broken installation raises)
            verdict, found = "FAIL", str(error) if isinstance(error, CheckError) else f"{type(error).__name__}: {error}"
            failed.append(check.name)
        click.echo(f"{verdict:<5} {check.name:<14} {found} ({time.monotonic() - start:.1f} s)")
    return failed


def _version_or_none(name: str) -> str | None:
    try:
        return installed_version(name)
    except metadata.PackageNotFoundError:
        return None


@click.command()
@click.option("--gpu", is_flag=True, help="Check the GPUs, too.")
@click.pass_context
def command(ctx: click.Context, gpu: bool) -> None:
    """Check that this installation can do what the pipeline's components need."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    failed = run_checks([*CHECKS, GPU_CHECK] if gpu else CHECKS)
    if failed:
        click.echo(f"the self-test failed: {', '.join(failed)}", err=True)
    ctx.exit(1 if failed else 0)


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    try:
        command(arguments, prog_name="self_test")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
