"""The job server that Beam would start: its jar, which Beam may have to download, and the Java that runs it."""

import re
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.beam.arguments import beam_runner, option
from trainer_module.errors import ConfigError

GUIDE: Final = "docs/beam_runners.md says how the parts go together"
_SECONDS: Final = 10
_MANIFEST: Final = "META-INF/MANIFEST.MF"
_MAIN_CLASS: Final = re.compile(r"^Main-Class: *(\S+)", re.MULTILINE)


class JobServerJar(NamedTuple):
    """Where the job server of a kind of runner comes from."""

    setting: str
    main_class: str
    target: str
    """Beam's name of it, which makes its address on Maven Central."""


def check_java(arguments: Sequence[str]) -> None:
    """Checks that there is a Java to run it.

    Raises:
      ConfigError: There is none.
    """
    launcher = option(arguments, "job_server_java_launcher") or "java"
    if shutil.which(launcher) is None:
        raise ConfigError(
            f"{asked_for(arguments)}, whose job server is a Java program, and there is no {launcher!r} here: install "
            "Java 11 or 17, or name its launcher with --job_server_java_launcher=PATH"
        )


def check_jar(arguments: Sequence[str], wanted: JobServerJar) -> str:
    """Checks the jar of the job server; returns its path or its address.

    Raises:
      ConfigError: It is not there, or no job server for the runner; or Beam cannot download it.
    """
    given = option(arguments, wanted.setting)
    if not given:
        return _check_download(arguments, wanted)
    if "://" in given:
        return given
    setting = f"--{wanted.setting}={given}"
    if not Path(given).is_file():
        raise ConfigError(f"{setting} in pipeline.beam_args is no file; name the job server's jar. {GUIDE}")
    try:
        with zipfile.ZipFile(given) as jar:
            manifest = jar.read(_MANIFEST).decode(errors="replace")
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise ConfigError(f"{setting} in pipeline.beam_args cannot be read as a jar: {error}") from error
    found = _MAIN_CLASS.search(manifest)
    if not found or found[1] != wanted.main_class:
        what = f"starts {found[1]}" if found else "starts nothing"
        raise ConfigError(
            f"{setting} in pipeline.beam_args is no job server for {beam_runner(arguments)}: it {what}, and not "
            f"{wanted.main_class}. {GUIDE}"
        )
    return given


def _check_download(arguments: Sequence[str], wanted: JobServerJar) -> str:
    """Checks that Beam has the jar in its cache, or could download it; returns its address."""
    from apache_beam.utils.subprocess_server import JavaJarServer

    address = str(JavaJarServer.path_to_beam_jar(wanted.target))
    name = address.rpartition("/")[2]
    cached = Path(option(arguments, "jar_cache_dir") or JavaJarServer.JAR_CACHE) / name
    if cached.is_file() or Path(address).is_file():
        return address
    mirror = address.replace(JavaJarServer.MAVEN_CENTRAL_REPOSITORY, JavaJarServer.GOOGLE_MAVEN_MIRROR)
    reasons = []
    for place in dict.fromkeys((address, mirror)):
        try:
            with urllib.request.urlopen(urllib.request.Request(place, method="HEAD"), timeout=_SECONDS):
                return address
        except urllib.error.HTTPError as error:
            reasons.append(f"{place} is answered with HTTP {error.code}")
        except (OSError, ValueError) as error:
            reasons.append(f"{place} does not answer ({getattr(error, 'reason', error)})")
    raise ConfigError(
        f"{asked_for(arguments)} without --{wanted.setting}, so that Beam would download {name}, and cannot: "
        f"{'; '.join(reasons)}. Fetch the jar where there is a network, and name it with --{wanted.setting}=PATH, or "
        f"put it at {cached}"
    )


def asked_for(arguments: Sequence[str]) -> str:
    """Returns what a message about the runner begins with."""
    return f"pipeline.beam_args ask for {beam_runner(arguments).rpartition('.')[2]}"
