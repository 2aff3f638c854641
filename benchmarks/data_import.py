"""Times `petseg data import` in ratio to a bare decoding of the same files with the same library, and its memory.

    .venv/bin/python benchmarks/data_import.py --source DIR --images 500 2000

DIR has `images/` and `masks/`; its files are taken again, under other names, until there are so many. Each measurement
has a process of its own, which reads files that have been read before; bare and whole passes alternate, so that a busy
machine slows both; there, the time of the cores says more. What the import takes to start, with TensorFlow, is told by
the difference between two numbers of images. With several `--workers` only the wall clock tells: the workers are
children of another process.
"""

import argparse
import itertools
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """What a pass is over."""

    source: str
    images: int
    workers: int


@dataclass(frozen=True)
class Measurement:
    """What one pass took: wall-clock time, time of the cores, and peak memory of its process."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def repeated(source: Path, count: int, target: Path) -> Path:
    """Makes a folder of so many images and masks, which are links to those of `source`."""
    pairs = [(image, source / "masks" / f"{image.stem}.png") for image in sorted((source / "images").iterdir())]
    for folder in ("images", "masks"):
        (target / folder).mkdir(parents=True)
    for number, (image, mask) in enumerate(itertools.islice(itertools.cycle(pairs), count)):
        (target / "images" / f"{number:06}{image.suffix}").symlink_to(image)
        (target / "masks" / f"{number:06}.png").symlink_to(mask)
    return target


def decode(file: Path) -> int:
    """Decodes one image or mask with Pillow, and returns its number of pixels."""
    from PIL import Image

    with Image.open(file) as image:
        image.load()
        return image.width * image.height


def decode_all(task: Task) -> None:
    """Decodes all images and masks of a source, and nothing else."""
    files = sorted(Path(task.source).rglob("*.*"))
    if task.workers == 1:
        sum(map(decode, files))
        return
    with ProcessPoolExecutor(task.workers, multiprocessing.get_context("spawn")) as pool:
        sum(pool.map(decode, files, chunksize=32))


def import_all(task: Task) -> None:
    """Imports a source into a data directory that is removed then."""
    from pipeline.data.importing.importer import import_pictures
    from pipeline.data.importing.request import ImportRequest

    with tempfile.TemporaryDirectory() as data_dir:
        outcome = import_pictures(ImportRequest(Path(task.source), "benchmark", data_dir, workers=task.workers))
    if outcome.report.kept != task.images:
        raise SystemExit(f"only {outcome.report.kept} of {task.images} images were imported: {outcome.report.reasons}")


def measured(work: Callable[[Task], None], task: Task) -> Measurement:
    """Runs a pass in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measure, work, task).result()


def _measure(work: Callable[[Task], None], task: Task) -> Measurement:
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work(task)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measurement(time.perf_counter() - start, cpu_seconds, after.ru_maxrss / 1024)


def main() -> None:
    """Measures, and prints a line for each number of images and one for what an image takes beyond the start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=Path)
    parser.add_argument("--images", type=int, nargs=2, default=(500, 2000), metavar=("FEW", "MANY"))
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    passes: list[tuple[Measurement, Measurement]] = []
    for count in arguments.images:
        with tempfile.TemporaryDirectory() as directory:
            source = repeated(arguments.source.absolute(), count, Path(directory) / "source")
            task = Task(str(source), count, arguments.workers)
            measured(decode_all, task)  # from now on the files are in memory
            bare, whole = measured(decode_all, task), measured(import_all, task)
        passes.append((bare, whole))
        print(f"{count:,} images: {_line(bare, whole)}")
    (few_bare, few), (many_bare, many) = passes
    wall = (many.seconds - few.seconds) / (many_bare.seconds - few_bare.seconds)
    cores = (many.cpu_seconds - few.cpu_seconds) / (many_bare.cpu_seconds - few_bare.cpu_seconds)
    print(f"each further image: {wall:.2f} times the wall clock, {cores:.2f} times the cores, of its bare decoding")


def _line(bare: Measurement, whole: Measurement) -> str:
    return ", ".join(
        f"{name} {one.seconds:.1f} s ({one.cpu_seconds:.1f} s of cores, {one.peak_mib:.0f} MiB)"
        for name, one in (("decoded", bare), ("imported", whole))
    )


if __name__ == "__main__":
    main()
