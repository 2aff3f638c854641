"""Jobs through a job server of Beam, without a Java: its Python job server, also in the place of `java`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

_LAUNCHER = """#!{python}
# Plays `java -jar JAR --job-port PORT ...`: Beam's own job server in Python.
import os, sys
port = sys.argv[sys.argv.index("--job-port") + 1]
with open(os.path.join({pids!r}, str(os.getpid())), "w") as file:
    file.write(" ".join(sys.argv[1:]))
if {fails!r}:
    print("Error: a JNI error has occurred", flush=True)
    sys.exit(3)
code = (
    "import os, signal; from apache_beam.runners.portability import local_job_service_main as main; "
    "signal.signal(signal.SIGTERM, lambda *_: os._exit(143)); main.run(['--port', %r])" % port
)
os.execv(sys.executable, [sys.executable, "-c", code])
"""


class FakeJava(NamedTuple):
    """A `java` that runs Beam's Python job server."""

    arguments: list[str]
    """Of Beam, for a runner on Flink whose job server it is."""

    pids: Path
    """Directory with a file for each process that was started, of its arguments."""

    @property
    def started(self) -> list[int]:
        return [int(path.name) for path in self.pids.iterdir()]

    @property
    def left(self) -> list[int]:
        """The processes that still run."""
        return [pid for pid in self.started if Path(f"/proc/{pid}").exists()]


def fake_java(directory: Path, *, fails: bool = False) -> FakeJava:
    """Makes a `java`, and the jar that it is given.

    Args:
      directory: Where.
      fails: Whether it ends at once.
    """
    pids, launcher, jar = directory / "pids", directory / "java", directory / "job-server.jar"
    pids.mkdir()
    launcher.write_text(_LAUNCHER.format(python=sys.executable, pids=str(pids), fails=fails))
    launcher.chmod(0o755)
    with ZipFile(jar, "w") as file:
        main_class = "org.apache.beam.runners.flink.FlinkJobServerDriver"
        file.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nMain-Class: {main_class}\n")
    arguments = ["--runner=FlinkRunner", f"--flink_job_server_jar={jar}", f"--job_server_java_launcher={launcher}"]
    return FakeJava(arguments, pids)


@contextmanager
def python_job_server() -> Iterator[tuple[Any, str]]:
    """Serves jobs in this process; yields the servicer, which knows its jobs, and its address."""
    from apache_beam.runners.portability.local_job_service import LocalJobServicer

    servicer = LocalJobServicer()
    yield servicer, f"localhost:{servicer.start_grpc_server()}"
    servicer.stop()
