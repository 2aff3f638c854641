"""Times the commands that compute nothing, and says what each imports.

    .venv/bin/python benchmarks/commands.py --root pipeline_root

The root must hold a finished run of `petseg run --preset demo`. Commands are called as users call them; of a few calls
of each the quickest counts, and `petseg --help` is the baseline of the ratios. Commands that ask Kubeflow Pipelines ask
a server in this process, which has no runs.
"""

import argparse
import dataclasses
import http.server
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_PETSEG = Path(sys.executable).with_name("petseg")
_HEAVY = (
    *("tensorflow", "keras", "tfx", "apache_beam", "ml_metadata", "tensorflow_datasets", "tensorflow_transform"),
    *("tensorflow_model_analysis", "kfp", "kfp_server_api", "kubernetes", "fastapi", "matplotlib", "PIL", "numpy"),
)
_BASELINE = "--help"
_COMMANDS = (
    _BASELINE,
    "run --help",
    "show-config --preset pets",
    "runs --pipeline-root ROOT",
    "runs show latest --pipeline-root ROOT",
    "compare latest latest --pipeline-root ROOT",
    "report --pipeline-root ROOT",
    "models list --preset demo --pipeline-root ROOT",
    "models verify --preset demo --pipeline-root ROOT",
    "schedule list --local --preset demo --pipeline-root ROOT",
    "schedule show --local --preset demo --pipeline-root ROOT",
    "schedule list --preset demo --set kubeflow.host=SERVER",
    "kubeflow status --preset demo --set kubeflow.host=SERVER",
    "kubeflow compile --preset demo --set kubeflow.serving_volume.claim=models --output FOLDER/package.yaml",
)
_IMPORTED = """
import json, sys
from pipeline.cli import exit_code
sys.stdout.flush()
exit_code(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump(sorted(sys.modules), file)
"""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What one command took, and what it imported."""

    command: str
    seconds: float
    cpu_seconds: float
    modules: int
    heavy: tuple[str, ...]


class _NoRuns(http.server.BaseHTTPRequestHandler):
    """Kubeflow Pipelines without a run, as far as these commands ask it."""

    def do_GET(self) -> None:
        body = b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server() -> Iterator[str]:
    """Serves while the context lasts; yields its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _NoRuns) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def measure(command: str, arguments: Sequence[str], calls: int, folder: Path) -> Measurement:
    """Calls a command some times, then once more to see what it imports."""
    times = []
    for _ in range(calls):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([_PETSEG, *arguments], cwd=folder, capture_output=True, check=False)
        seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append((seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    file = folder / "modules.json"
    subprocess.run(
        [sys.executable, "-P", "-c", _IMPORTED, file, *arguments], cwd=folder, capture_output=True, check=True
    )
    modules = json.loads(file.read_text())
    heavy = tuple(name for name in _HEAVY if name in modules)
    return Measurement(command, min(times)[0], min(cpu for _, cpu in times), len(modules), heavy)


def main() -> None:
    """Measures all commands and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="a pipeline.root with a finished run")
    parser.add_argument("--calls", type=int, default=3, help="of each command; the quickest counts")
    options = parser.parse_args()
    root = options.root.resolve()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    print("| `petseg …` | seconds | processor seconds | × `--help` | modules | heavy ones |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    baseline = None
    with server() as address:
        for command in _COMMANDS:
            text = command.replace("ROOT", str(root)).replace("SERVER", address).replace("FOLDER", str(root))
            found = measure(command, text.split(), options.calls, root)
            baseline = baseline or found
            ratio = found.cpu_seconds / baseline.cpu_seconds
            print(
                f"| `{command}` | {found.seconds:.2f} | {found.cpu_seconds:.2f} | {ratio:.1f} | {found.modules} "
                f"| {', '.join(found.heavy) or 'none'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
