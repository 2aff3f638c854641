"""Times the local server in ratio to calling the same SavedModel in process, in the same run.

    .venv/bin/python benchmarks/serving.py MODEL_DIR --requests 200
    .venv/bin/python benchmarks/serving.py MODEL_DIR --memory 10000

The server is a process of its own, and so are its clients, which send one drawn picture each time, as soon as they have
the answer to the last one. Server and plain calls take turns, so that a busy machine slows both; there, the time of
the cores says more. In process, batches of 8 are what throughput is compared with.
"""

import argparse
import contextlib
import dataclasses
import http.client
import multiprocessing
import multiprocessing.pool
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

_CLIENTS = (1, 8, 32)
_ROUNDS = 3
_MEMORY_LOOKS = 10
_CPU_SECONDS = "process_cpu_seconds_total"


@dataclasses.dataclass(frozen=True)
class Load:
    """What a number of clients saw."""

    clients: int
    requests_per_second: float
    seconds: list[float]

    def quantile(self, share: float) -> float:
        """Returns the time that this share of the requests kept within, in milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def sample() -> bytes:
    """Returns the picture that all requests hold."""
    from pipeline.serving.model import sample_picture

    return sample_picture(0)


@contextlib.contextmanager
def server(model_dir: Path) -> Iterator[str]:
    """Starts `petseg serve` and yields the URL of the model."""
    command = [str(Path(sys.executable).with_name("petseg")), "serve", str(model_dir), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"serving (\S+), version \d+: (\S+)", process.stdout.readline() if process.stdout else "")
        if found is None:
            raise SystemExit("the server did not start")
        yield f"{found[2]}v1/models/{found[1]}"
    finally:
        process.terminate()
        process.wait()


def ask(url: str, body: bytes, requests: int) -> list[float]:
    """Asks again and again over one connection; returns the seconds each answer took."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.netloc, timeout=300)
    path = target.path + (f"?{target.query}" if target.query else "")
    seconds = []
    for _ in range(requests):
        started = time.perf_counter()
        connection.request("POST", path, body)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"the server answered with {answer.status}")
        seconds.append(time.perf_counter() - started)
    connection.close()
    return seconds


def load(url: str, body: bytes, clients: int, requests: int) -> Load:
    """Lets so many clients ask at the same time; each has a process."""
    each = max(1, requests // clients)
    with multiprocessing.get_context("fork").Pool(clients) as pool:
        pool.starmap(ask, [(url, body, 1)] * clients)
        started = time.perf_counter()
        seconds = pool.starmap(ask, [(url, body, each)] * clients, chunksize=1)
        wall = time.perf_counter() - started
    return Load(clients, clients * each / wall, [one for several in seconds for one in several])


class Plain:
    """The SavedModel, called in this process."""

    def __init__(self, model_dir: Path) -> None:
        from components.model_pusher.version_store import newest_version
        from pipeline.serving.model import load_and_warm_up

        directory = newest_version(str(model_dir)) or str(model_dir)
        self._model = load_and_warm_up(directory, 1)

    def seconds(self, image: bytes, batch: int, calls: int) -> list[float]:
        """Returns the time of each call with so many images."""
        import numpy as np

        from trainer_module import features

        inputs = {features.IMAGE: np.array([image] * batch, object)}
        taken = []
        for _ in range(calls):
            started = time.perf_counter()
            self._model.run(features.SERVING_SIGNATURE, inputs)
            taken.append(time.perf_counter() - started)
        return taken


def compare(model_dir: Path, requests: int) -> None:
    """Prints the tables of speed."""
    image = sample()
    # The model in process has a process of its own, too: clients are forked, which TensorFlow's threads do not survive.
    plain = multiprocessing.get_context("spawn").Pool(1, initializer=_load_plain, initargs=(model_dir,))
    with server(model_dir) as url, plain:
        one = statistics.median(plain.apply(_plain_seconds, (image, 1, _ROUNDS)))
        print(f"one image in process: {1000 * one:.1f} ms")
        lone = [overhead(plain, f"{url}:segment", image, max(2, requests // _ROUNDS)) for _ in range(_ROUNDS)]
        print(f"a lone client waits {100 * statistics.median(lone):.1f} % longer")
        print("| clients | requests/s | to in process | cores to in process | images a batch | p50 ms | p99 ms |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for clients in _CLIENTS:
            print(throughput(plain, url, image, clients, requests), flush=True)


def overhead(plain: multiprocessing.pool.Pool, url: str, image: bytes, requests: int) -> float:
    """Returns how much longer an answer of the server takes than the model in process, as a share, by medians."""
    half = max(1, requests // 2)
    in_process = plain.apply(_plain_seconds, (image, 1, half))
    served = ask(url, image, requests)
    in_process += plain.apply(_plain_seconds, (image, 1, half))
    return statistics.median(served) / statistics.median(in_process) - 1


def throughput(plain: multiprocessing.pool.Pool, url: str, image: bytes, clients: int, requests: int) -> str:
    """Returns the row of so many clients, of several rounds with the model in process between them."""
    loads, ratios, cpu_ratios, before = [], [], [], _batches(url)
    for _ in range(_ROUNDS):
        started = [plain.apply(_plain_cost, (image, 8, 2))]
        cpu_before = _metric(url, _CPU_SECONDS)
        loads.append(load(f"{url}:segment", image, clients, requests))
        cpu_seconds = (_metric(url, _CPU_SECONDS) - cpu_before) / (len(loads[-1].seconds) + clients)
        started.append(plain.apply(_plain_cost, (image, 8, 2)))
        plain_seconds, plain_cpu_seconds = (statistics.mean(costs) / 8 for costs in zip(*started, strict=True))
        ratios.append(loads[-1].requests_per_second * plain_seconds)
        cpu_ratios.append(cpu_seconds / plain_cpu_seconds)
    rows, batches = (after - old for after, old in zip(_batches(url), before, strict=True))
    rate = statistics.median(one.requests_per_second for one in loads)
    seen = Load(clients, rate, [seconds for one in loads for seconds in one.seconds])
    return (
        f"| {clients} | {rate:.1f} | {statistics.median(ratios):.2f} | {statistics.median(cpu_ratios):.2f} | "
        f"{rows / batches:.1f} | {seen.quantile(0.5):.0f} | {seen.quantile(0.99):.0f} |"
    )


def _metric(url: str, name: str) -> float:
    with urllib.request.urlopen(url.partition("/v1/")[0] + "/metrics") as answer:
        found = re.search(rf"^{name} (\S+)", answer.read().decode(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"the server does not say {name}")
    return float(found[1])


def _batches(url: str) -> tuple[float, float]:
    return _metric(url, "petseg_batch_rows_sum"), _metric(url, "petseg_batch_rows_count")


_plain: Plain | None = None


def _load_plain(model_dir: Path) -> None:
    global _plain
    _plain = Plain(model_dir)


def _plain_cost(image: bytes, batch: int, calls: int) -> tuple[float, float]:
    """Returns the mean seconds of a call, by the clock and of all cores."""
    cpu_before = time.process_time()
    seconds = _plain_seconds(image, batch, calls)
    return statistics.mean(seconds), (time.process_time() - cpu_before) / calls


def _plain_seconds(image: bytes, batch: int, calls: int) -> list[float]:
    if _plain is None:
        raise RuntimeError("no model is loaded")
    return _plain.seconds(image, batch, calls)


def memory(model_dir: Path, requests: int) -> None:
    """Prints the server's resident memory over so many requests of 8 clients."""
    image = sample()
    with server(model_dir) as url:
        print("| requests | resident MiB |\n| ---: | ---: |")
        for look in range(_MEMORY_LOOKS + 1):
            if look:
                load(f"{url}:segment", image, 8, requests // _MEMORY_LOOKS)
            resident = _metric(url, "process_resident_memory_bytes")
            print(f"| {look * requests // _MEMORY_LOOKS:,} | {resident / 2**20:,.0f} |", flush=True)


def main() -> None:
    """Reads the arguments and runs what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("--requests", type=int, default=200, help="for each number of clients")
    parser.add_argument("--memory", type=int, metavar="N", help="look at the memory over N requests instead")
    arguments = parser.parse_args()
    if arguments.memory:
        memory(arguments.model_dir, arguments.memory)
    else:
        compare(arguments.model_dir, arguments.requests)


if __name__ == "__main__":
    main()
