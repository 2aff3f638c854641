"""What is installed: Python, the C library, petseg's dependencies, and whether they can be imported."""

import importlib
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Final

from pydantic import BaseModel

import petseg
from pipeline.code_digest import installed_version
from pipeline.config.schema import Config
from pipeline.doctor.apart import NoAnswerError, ask
from pipeline.doctor.findings import Finding, ok, problem, reason, warning
from pipeline.doctor.gpu import look_at_gpus
from pipeline.kubeflow.self_test import MODULES, CheckError, check_c_library, check_python, versions_wanted

MODULES_SECONDS: Final = 240.0
"""How long TensorFlow, TFX and petseg's components may take to be imported; on a busy machine it takes a minute."""

EXTRAS: Final = ("import", "mlflow", "pretrained", "serve", "tensorboard", "gpu")

_TENSORFLOW: Final = "tensorflow"
_SHOWN: Final = ("tensorflow", "tfx", "keras", "kfp")
_PRIVATE_C_LIBRARY: Final = "glibc"
"""Folder of `.venv` that scripts/private_glibc.sh fills."""


class Modules(BaseModel):
    """What a process learns that imports everything the components need."""

    failed: dict[str, str] = {}
    """Module to why it cannot be imported."""

    seconds: float = 0.0
    gpus: list[str] | None = None
    """Those that TensorFlow sees, by name; None where TensorFlow cannot tell."""

    cuda: str = ""
    """The release of CUDA that TensorFlow was built for; empty where it was built for none."""


def look_at_python() -> Finding:
    """Tells which Python this is."""
    try:
        return ok("Python", f"{check_python()}, {sys.executable}")
    except CheckError as error:
        return problem("Python", str(error), "PETSEG_PYTHON=/path/to/another/python make setup, or use the image")


def look_at_c_library() -> Finding:
    """Tells which C library this process has, and whether it is the machine's."""
    try:
        found = check_c_library()
    except CheckError as error:
        return problem("C library", str(error), "make setup, which gives .venv a newer one, or use the image")
    private, host = Path(sys.prefix) / _PRIVATE_C_LIBRARY, _host_c_library()
    if private.is_dir() and host and host != found:
        return ok("C library", f"{found} of {str(private)!r}; the machine has {host}")
    return ok("C library", found)


def look_at_versions() -> Finding:
    """Tells whether petseg's dependencies are there, in versions that it can do with."""
    wanted, wrong = versions_wanted()
    here = f"petseg {metadata.version('petseg')} in {str(petseg.ROOT)!r}"
    if wrong:
        return problem("versions", f"{here}: {'; '.join(wrong)}", _install())
    shown = ", ".join(f"{name} {installed_version(name)}" for name in _SHOWN)
    return ok("versions", f"{here} with {shown}; {len(wanted)} dependencies as it wants them")


def look_at_extras() -> Finding:
    """Tells which extras are installed; one of which only a part is, or in a wrong version, will not do."""
    complete, broken = [], []
    for extra in EXTRAS:
        wanted, wrong = versions_wanted(extra)
        if not wrong and not (extra == "gpu" and missing_cuda_packages()):
            complete.append(extra)
        elif any("none is installed" not in line for line in wrong) or 0 < len(wrong) < len(wanted):
            broken.append(f"{extra}: {'; '.join(wrong)}")
    found = f"{', '.join(complete) or 'none'} installed"
    absent = [extra for extra in EXTRAS if extra not in complete]
    if broken:
        return warning(
            "extras", f"{found}; {'; '.join(broken)}", _install(*complete, *(b.partition(":")[0] for b in broken))
        )
    return ok("extras", f"{found}{'; not ' if absent else ''}{', '.join(absent)}")


def look_at_modules(config: Config) -> list[Finding]:
    """Tells whether everything can be imported, and, since TensorFlow alone knows what it can use, of the GPUs."""
    try:
        modules = Modules.model_validate(ask("modules", config, MODULES_SECONDS))
    except NoAnswerError as error:
        untold = problem("imports", f"whether the components can be imported is not known: {error}", _install_anew())
        return [untold, look_at_gpus(config, None, "", [])]
    return [_of_modules(modules), look_at_gpus(config, modules.gpus, modules.cuda, missing_cuda_packages())]


def import_modules(_: Config) -> Modules:
    """Imports what the components need, in a process that does nothing else."""
    start, failed = time.monotonic(), {}
    for module in (_TENSORFLOW, *MODULES):
        print(f"importing {module}", file=sys.stderr, flush=True)  # told where it ends the process
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 (whatever a broken package raises)
            failed[module] = reason(error)
    seconds = time.monotonic() - start
    if _TENSORFLOW in failed:
        return Modules(failed=failed, seconds=seconds)
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)) for gpu in gpus]
    cuda = str(tf.sysconfig.get_build_info().get("cuda_version", ""))
    return Modules(failed=failed, seconds=seconds, gpus=names, cuda=cuda)


def missing_cuda_packages() -> list[str]:
    """Returns the packages with CUDA's libraries that TensorFlow's extra `and-cuda` asks for and that are not there."""
    from packaging.requirements import Requirement

    try:
        required = [Requirement(line) for line in metadata.requires(_TENSORFLOW) or []]
    except metadata.PackageNotFoundError:
        return []
    of_cuda = [each.name for each in required if each.marker and not each.marker.evaluate({"extra": ""})]
    installed = {str(each.metadata["Name"]).lower() for each in metadata.distributions(path=sys.path)}
    return [name for name in of_cuda if name.startswith("nvidia-") and name not in installed]


def _of_modules(modules: Modules) -> Finding:
    if not modules.failed:
        count = len(MODULES) + 1
        return ok(
            "imports", f"all {count} modules that the components need can be imported; it took {modules.seconds:.0f} s"
        )
    (module, why), *others = modules.failed.items()
    more = f", and {len(others)} more" if others else ""
    return problem("imports", f"{module} cannot be imported{more}: {why}", _install_anew())


def _host_c_library() -> str:
    """Returns the C library of other programs of the machine; empty where nothing tells."""
    if shutil.which("getconf") is None:
        return ""
    ended = subprocess.run(["getconf", "GNU_LIBC_VERSION"], capture_output=True, text=True, timeout=10, check=False)
    return ended.stdout.strip()


def _install(*extras: str) -> str:
    """Returns the command that installs what petseg wants, with extras where they are chosen."""
    if _is_set_up_by_make():
        return "rm -f .venv/.set-up && make setup"
    return _pip("--upgrade", *extras)


def _install_anew() -> str:
    """Returns the command that installs everything again, also what is there already."""
    return "rm -rf .venv && make setup" if _is_set_up_by_make() else _pip("--force-reinstall")


def _pip(option: str, *extras: str) -> str:
    chosen = f"[{','.join(extras)}]" if extras else ""
    return f"{sys.executable} -m pip install {option} 'petseg{chosen}'"


def _is_set_up_by_make() -> bool:
    return Path(sys.prefix) == petseg.ROOT / ".venv"
