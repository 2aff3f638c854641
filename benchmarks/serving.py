"""Times the local server in ratio to calling the same SavedModel in process, in the same run.

    .venv/bin/python benchmarks/serving.py MODEL_DIR --requests 200
    .venv/bin/python benchmarks/serving.py MODEL_DIR --memory 10000

The server is a process of its own, and so are its clients, which send one drawn picture each time, as soon as they have
the answer to the last one. Server and plain calls take turns, so that a busy machine slows both.
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
_ROUNDS = 5
_MEMORY_LOOKS = 10


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
    from pipeline.serving.sample_pictures import sample_picture

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
        from components.model_pusher.versions import newest_version
        from pipeline.serving.warm_up import load_and_warm_up

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
    with server(model_dir) as url:
        # The clients fork before TensorFlow is in this process; its threads do not survive a fork.
        plain = multiprocessing.get_context("spawn").Pool(1, initializer=_load_plain, initargs=(model_dir,))
        with plain:
            one, batch = _take_turns(plain, f"{url}:segment", image, requests)
            print(f"in process: one image {1000 * one:.1f} ms, batches of 8 {8 / batch:.1f} images/s")
            print("| clients | requests/s | to batches of 8 in process | p50 ms | p99 ms |")
            print("| ---: | ---: | ---: | ---: | ---: |")
            for clients in _CLIENTS:
                seen = load(f"{url}:segment", image, clients, requests)
                ratio = seen.requests_per_second * batch / 8
                print(
                    f"| {clients} | {seen.requests_per_second:.1f} | {ratio:.2f} | {seen.quantile(0.5):.0f} | "
                    f"{seen.quantile(0.99):.0f} |",
                    flush=True,
                )


def _take_turns(plain: multiprocessing.pool.Pool, url: str, image: bytes, requests: int) -> tuple[float, float]:
    """Prints the overhead of the server for a lone client; returns the median seconds of one image and of 8."""
    ones, eights, served = [], [], []
    each = max(2, requests // _ROUNDS)
    for _ in range(_ROUNDS):
        ones += plain.apply(_plain_seconds, (image, 1, each))
        served += ask(url, image, each)
        eights += plain.apply(_plain_seconds, (image, 8, max(2, each // 8)))
    one, eight, answer = (statistics.median(seconds) for seconds in (ones, eights, served))
    print(
        f"a lone client: {1000 * answer:.1f} ms an answer, {1000 * one:.1f} ms of it the model's as in process: "
        f"{100 * (answer / one - 1):.1f} % more"
    )
    return one, eight


_plain: Plain | None = None


def _load_plain(model_dir: Path) -> None:
    global _plain
    _plain = Plain(model_dir)


def _plain_seconds(image: bytes, batch: int, calls: int) -> list[float]:
    if _plain is None:
        raise RuntimeError("no model is loaded")
    return _plain.seconds(image, batch, calls)


def memory(model_dir: Path, requests: int) -> None:
    """Prints the server's resident memory over so many requests of 8 clients."""
    image = sample()
    with server(model_dir) as url:
        metrics = url.partition("/v1/")[0] + "/metrics"
        print("| requests | resident MiB |\n| ---: | ---: |")
        for look in range(_MEMORY_LOOKS + 1):
            if look:
                load(f"{url}:segment", image, 8, requests // _MEMORY_LOOKS)
            with urllib.request.urlopen(metrics) as answer:
                text = answer.read().decode()
            resident = float(re.search(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)[1])  # type: ignore[index]
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
