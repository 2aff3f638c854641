"""Times training on GPUs: seconds an epoch, images a second, and the share of the device's peak that this is.

    .venv/bin/python benchmarks/gpu.py --gpus 1 2 --precisions float32 mixed_bfloat16 --xla no yes
    .venv/bin/python benchmarks/gpu.py --models unet blog --batch-sizes 32 128 --steps-per-execution 1 16
    python benchmarks/gpu.py --backend jax --models unet_lite0 --batch-sizes 64
    .venv/bin/python benchmarks/gpu.py --gpus 0 --image-size 64 --batch-sizes 8 --steps 8

Each row is a process of its own. On TensorFlow it trains as petseg's Trainer does, spread over the GPUs by its
strategy; on Keras' JAX backend, which needs JAX, Keras and NumPy alone, by Keras' own `fit`, which compiles each step
with XLA and counts the accuracy only. The batches are one batch of noise in memory, over and over: the step is
measured, not the reading. A first epoch of as many steps, in which they are traced and compiled, is left out; the
median of the others counts.

The share of the peak is what the convolutions need, three passes of two operations for each multiply-add, in ratio to
what the vendor promises without sparsity, in float32 that of TF32. `--gpus 0` measures the CPU, whose peak is what a
large product of float32 matrices reaches just before.
"""

import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

PEAKS: dict[str, dict[str, float]] = {
    "H200": {"float32": 494.7, "mixed_bfloat16": 989.5, "mixed_float16": 989.5},
    "H100 PCIe": {"float32": 378.0, "mixed_bfloat16": 756.0, "mixed_float16": 756.0},
    "H100": {"float32": 494.7, "mixed_bfloat16": 989.5, "mixed_float16": 989.5},
    "A100": {"float32": 156.0, "mixed_bfloat16": 312.0, "mixed_float16": 312.0},
    "L40S": {"float32": 183.0, "mixed_bfloat16": 362.0, "mixed_float16": 362.0},
    "L4": {"float32": 60.0, "mixed_bfloat16": 121.0, "mixed_float16": 121.0},
}
"""TFLOP/s of one device by the words of its name, from the vendor's data sheets, without sparsity."""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
_NUM_CLASSES = 3
_OPERATIONS = 2 * 3  # a product and a sum; forwards, to the inputs and to the weights
_MATRIX_SIDE = 2048
_HERE = Path(__file__).parent
_COLUMNS = (
    "| model | size | GPUs | batch | precision | XLA | steps at once | ms a step | images/s | s an epoch | of peak |\n"
    "| --- | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True)
class Case:
    """What one row measures."""

    backend: str
    model: str
    image_size: int
    gpus: int
    """0: the CPU."""

    batch_size: int
    """Of all GPUs together."""

    precision: str
    xla: bool
    steps_per_execution: int
    steps: int
    repeats: int


@dataclass(frozen=True)
class Measured:
    """What came of a row."""

    device: str
    images_per_second: float
    first_epoch_seconds: float
    """With tracing and compiling."""

    operations_per_image: int
    peak: float | None
    """TFLOP/s of all devices together; None where it is not known."""

    @property
    def share_of_peak(self) -> float | None:
        """Of the peak, from 0 to 1."""
        return None if self.peak is None else self.images_per_second * self.operations_per_image / self.peak / 1e12


def cases(arguments: argparse.Namespace) -> list[Case]:
    """Returns the rows that the arguments ask for; XLA compiles the step of one replica only."""
    compiled = [True] if arguments.backend == "jax" else [answer == "yes" for answer in arguments.xla]
    return [
        Case(
            arguments.backend, model, arguments.image_size, gpus, batch_size, precision, xla, steps_per_execution,
            arguments.steps, arguments.repeats,
        )
        for model, gpus, batch_size, precision, xla, steps_per_execution in itertools.product(
            arguments.models, arguments.gpus, arguments.batch_sizes, arguments.precisions, compiled,
            arguments.steps_per_execution,
        )
        if arguments.backend == "jax" or not (xla and gpus > 1)
    ]  # fmt: skip


def peak_of(device: str, precision: str, given: Mapping[str, float]) -> float | None:
    """Returns the TFLOP/s of one device: what is given for the precision, else what is known of the name."""
    if precision in given:
        return given[precision]
    words = {*re.split(r"[\s-]+", device)}
    known = [peaks for name, peaks in PEAKS.items() if words.issuperset(name.split())]
    return known[0].get(precision) if known else None


def measure(case: Case, given_peaks: Mapping[str, float], *, matrix_side: int = _MATRIX_SIDE) -> Measured:
    """Trains one case in this process, on the backend that Keras has here."""
    from networks import multiply_adds

    device = device_name(case)
    peak = peak_of(device, case.precision, given_peaks)
    if not case.gpus and peak is None:
        peak = matrix_product_peak(matrix_side)
    model = jax_model(case) if case.backend == "jax" else tensorflow_model(case)
    first, *others = epoch_seconds(model, case)
    network = model if case.backend == "jax" else model.network
    return Measured(
        device,
        case.steps * case.batch_size / statistics.median(others),
        first,
        _OPERATIONS * multiply_adds(network),
        peak and peak * max(case.gpus, 1),
    )


def device_name(case: Case) -> str:
    """Returns what the devices are called.

    Raises:
      SystemExit: There are fewer GPUs than the case wants.
    """
    if not case.gpus:
        return f"CPU, {os.cpu_count()} cores"
    if case.backend == "jax":
        import jax

        names = [device.device_kind for device in jax.devices() if device.platform == "gpu"]
    else:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    if len(names) < case.gpus:
        raise SystemExit(
            f"--gpus {case.gpus}, but {case.backend} sees {len(names)} GPUs here; --gpus 0 measures the CPU"
        )
    return str(names[0])


def matrix_product_peak(side: int) -> float:
    """Returns the TFLOP/s that a product of two matrices, float32 [side, side], reaches at best."""
    from keras import ops

    matrix = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((side, side), np.float32))
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        ops.convert_to_numpy(ops.matmul(matrix, matrix)[0, 0])  # waits for it
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds) / 1e12


def tensorflow_model(case: Case) -> Any:
    """Returns the network as petseg's Trainer compiles it, on the GPUs of the case."""
    from trainer_module.config import TrainerConfig
    from trainer_module.distribution import Cluster, choose_strategy
    from trainer_module.losses import training_loss
    from trainer_module.networks import build_model
    from trainer_module.optimization import build_optimizer, dtype_policy
    from trainer_module.trained_model import TrainedModel

    config = TrainerConfig(batch_size=case.batch_size, precision=case.precision)
    strategy = choose_strategy(case.gpus, Cluster())
    with strategy.scope(), dtype_policy(case.precision):
        network = build_model(case.model, case.image_size, _NUM_CLASSES, synchronized=case.gpus > 1)
        optimizer = build_optimizer(config, network, case.steps)
    return TrainedModel(
        network,
        strategy,
        optimizer,
        training_loss(config),
        xla=case.xla,
        steps_per_execution=case.steps_per_execution,
    )


def jax_model(case: Case) -> Any:
    """Returns the network as Keras compiles it, its batches shared by the GPUs of the case."""
    import keras

    from trainer_module.networks import build_model

    if case.gpus > 1:
        devices = keras.distribution.list_devices("gpu")[: case.gpus]
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    keras.config.set_dtype_policy(case.precision)
    network = build_model(case.model, case.image_size, _NUM_CLASSES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, metrics=["accuracy"], steps_per_execution=case.steps_per_execution)
    return network


def epoch_seconds(model: Any, case: Case) -> list[float]:
    """Trains; returns what each epoch took, of which the first one compiles."""
    import keras

    moments: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_, **__: moments.append(time.perf_counter()),
        on_epoch_end=lambda *_, **__: moments.append(time.perf_counter()),  # has the logs: all steps are done
    )
    model.fit(
        _batches(case), epochs=1 + case.repeats, steps_per_epoch=case.steps, callbacks=[clock], verbose=0, shuffle=False
    )
    return [end - begin for begin, end in zip(moments[::2], moments[1::2], strict=True)]


def _batches(case: Case) -> Any:
    """Returns one batch without end."""
    rng = np.random.default_rng(0)
    shape = (case.batch_size, case.image_size, case.image_size)
    batch = rng.standard_normal((*shape, 3), np.float32), rng.integers(0, _NUM_CLASSES, shape, np.uint8)
    if case.backend == "jax":
        return (batch for _ in itertools.count())  # of iterators, Keras takes generators only
    import tensorflow as tf

    return tf.data.Dataset.from_tensors(batch).repeat().prefetch(4)


def report_line(case: Case, measured: Measured, images: int) -> str:
    """Returns a row of the table; an epoch is of `images` images."""
    speed, share = measured.images_per_second, measured.share_of_peak
    return (
        f"{_opening(case)} {1000 * case.batch_size / speed:,.1f} | {speed:,.1f} | {images / speed:,.1f} "
        f"| {'' if share is None else f'{share:.1%}'} |"
    )


def _opening(case: Case) -> str:
    return (
        f"| {case.model} | {case.image_size} | {case.gpus or 'CPU'} | {case.batch_size} | {case.precision} "
        f"| {'yes' if case.xla else 'no'} | {case.steps_per_execution} |"
    )


def run_case(case: Case, given_peaks: Mapping[str, float]) -> Measured | str:
    """Measures one case in a process of its own; returns what it says last where it fails, as of memory."""
    environment = os.environ | {
        "KERAS_BACKEND": case.backend, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": f"{_HERE.parent}:{_HERE}"
    }  # fmt: skip
    if not case.gpus:
        environment["JAX_PLATFORMS"] = "cpu"
    command = [sys.executable, __file__, "--case", json.dumps([asdict(case), dict(given_peaks)])]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    if finished.returncode:
        return next(reversed(finished.stderr.strip().splitlines()), f"exit code {finished.returncode}")
    return Measured(**json.loads(finished.stdout.splitlines()[-1]))


def measured_rows(
    asked: Sequence[Case], given_peaks: Mapping[str, float], images: int, *, as_table: bool
) -> Iterator[dict[str, Any]]:
    """Yields what came of each case, and prints the table row by row where it is asked for."""
    device = "no device was measured"
    if as_table:
        print(_COLUMNS, flush=True)
    for case in asked:
        found = run_case(case, given_peaks)
        if isinstance(found, str):
            if as_table:
                print(f"{_opening(case)} failed: {found} |", flush=True)
            yield asdict(case) | {"error": found}
            continue
        device = f"{found.device}, {case.backend}"
        if as_table:
            print(report_line(case, found, images), flush=True)
        epoch = {"seconds_per_epoch": images / found.images_per_second, "share_of_peak": found.share_of_peak}
        yield asdict(case) | asdict(found) | epoch
    if as_table:
        print(f"\n{device}; an epoch is {images:,} images")


def _peak(text: str) -> tuple[str, float]:
    precision, _, number = text.partition("=")
    if precision not in PRECISIONS:
        raise ValueError(text)
    return precision, float(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", "--model", nargs="+", default=["unet"])
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32], help="of all GPUs together")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1], help="0: the CPU")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["float32"])
    parser.add_argument("--xla", nargs="+", choices=("no", "yes"), default=["no"], help="on JAX it is always on")
    parser.add_argument("--steps-per-execution", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, default=48, help="in an epoch that is measured")
    parser.add_argument("--repeats", type=int, default=3, help="epochs that are measured")
    parser.add_argument("--images", type=int, default=3680, help="in an epoch that is told")
    parser.add_argument("--peak", type=_peak, nargs="+", default=[], metavar="PRECISION=TFLOPS", help="of one GPU")
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Prints the table, or the same as JSON."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.case:
        fields, peaks = json.loads(arguments.case)
        print(json.dumps(asdict(measure(Case(**fields), peaks))))
        return
    for count in arguments.steps_per_execution:
        if arguments.steps % count:
            parser.error(f"--steps {arguments.steps} is no multiple of --steps-per-execution {count}")
    for gpus, batch_size in itertools.product(arguments.gpus, arguments.batch_sizes):
        if gpus and batch_size % gpus:
            parser.error(f"--batch-sizes {batch_size} cannot be shared equally by {gpus} GPUs")
    rows = list(measured_rows(cases(arguments), dict(arguments.peak), arguments.images, as_table=not arguments.json))
    if arguments.json:
        print(json.dumps(rows, indent=2))
    if all("error" in row for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
