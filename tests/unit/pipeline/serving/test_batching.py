"""What goes through the model together, what waits, and who is told of a bad input."""

import asyncio
import threading

import numpy as np
import pytest

from pipeline.serving.batching import Batcher, Measurements, Work
from pipeline.serving.limits import Limits
from pipeline.serving.model import InvalidInputError, Signature, TensorShape

ROWS = TensorShape(np.dtype(np.float32), (None, None))
FIXED = TensorShape(np.dtype(np.float32), (2, None))


class HeldModel:
    """Doubles its input; each call waits until it is let go. A negative value is a bad one."""

    def __init__(self) -> None:
        self.signatures = {
            "double": Signature({"x": ROWS}, {"y": ROWS}),
            "same": Signature({"x": ROWS}, {"y": ROWS}),
            "fixed": Signature({"x": FIXED}, {"y": FIXED}),
        }
        self.calls = []
        self.go = threading.Semaphore(0)

    def run(self, signature, inputs):
        assert self.go.acquire(timeout=10)
        x = inputs["x"]
        self.calls.append((signature, x[:, 0].tolist()))
        assert threading.current_thread() is not threading.main_thread()
        bad = np.flatnonzero((x < 0).any(axis=1))
        if len(bad):
            raise InvalidInputError(f"row {bad[0]}")
        return {"y": x * (2 if signature == "double" else 1)}


def work(model, *values, signature="double", columns=1, pixels=0) -> Work:
    return Work(model, signature, {"x": np.repeat([[v] for v in values], columns, axis=1)}, len(values), pixels)


def run(test, **limits):
    """Runs an asynchronous test with a batcher."""

    async def main():
        batcher = Batcher(Limits(**limits), Measurements())
        async with batcher.running():
            await asyncio.wait_for(test(batcher), 20)

    asyncio.run(main())


async def asked(batcher, *works):
    """Asks in this order, and lets the first one start."""
    tasks = []
    for one in works:
        tasks.append(asyncio.create_task(batcher.run(one)))
        await asyncio.sleep(0.02)
    return tasks


def y(task) -> list[float]:
    return task.result().outputs["y"][:, 0].tolist()


def test_what_waits_for_the_same_signature_goes_together_and_comes_back_apart():
    model = HeldModel()

    async def test(batcher):
        tasks = await asked(
            batcher, work(model, 1), work(model, 2, 3), work(model, 9, signature="same"), work(model, 4)
        )
        model.go.release(3)
        await asyncio.gather(*tasks)
        assert model.calls == [("double", [1]), ("double", [2, 3, 4]), ("same", [9])]
        assert [y(task) for task in tasks] == [[2], [4, 6], [9], [8]]
        assert tasks[1].result().waited_seconds >= 0.02

    run(test)


@pytest.mark.parametrize(
    ("limits", "batches"),
    [({"max_batch": 3}, [[1], [2, 3, 4], [5]]), ({"max_pixels": 20}, [[1], [2, 3], [4, 5]])],
)
def test_batches_keep_to_their_limits(limits, batches):
    model = HeldModel()

    async def test(batcher):
        tasks = await asked(batcher, *(work(model, number, pixels=10) for number in range(1, 6)))
        model.go.release(9)
        await asyncio.gather(*tasks)
        assert [values for _, values in model.calls] == batches

    run(test, **limits)


def test_a_request_larger_than_a_batch_goes_alone():
    model = HeldModel()

    async def test(batcher):
        tasks = await asked(batcher, work(model, 1), work(model, 2, 3, 4), work(model, 5))
        model.go.release(9)
        await asyncio.gather(*tasks)
        assert [values for _, values in model.calls] == [[1], [2, 3, 4], [5]]

    run(test, max_batch=2)


def test_other_shapes_models_and_unbatched_signatures_go_alone():
    model, other = HeldModel(), HeldModel()

    async def test(batcher):
        fixed = [work(model, number, number, signature="fixed") for number in (6, 7)]
        tasks = await asked(
            batcher, work(model, 1), work(model, 2), work(model, 3, columns=2), work(other, 4), work(model, 5), *fixed
        )
        model.go.release(9)
        other.go.release(9)
        await asyncio.gather(*tasks)
        assert [values for _, values in model.calls] == [[1], [2, 5], [3], [6, 6], [7, 7]]
        assert other.calls == [("double", [4])]

    run(test)


def test_a_bad_row_fails_its_own_request_only_and_by_its_own_number():
    model = HeldModel()

    async def test(batcher):
        tasks = await asked(batcher, work(model, 1), work(model, 2), work(model, 3, -1), work(model, 4))
        model.go.release(9)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert str(answers[2]) == "row 1"
        assert [y(task) for task in (tasks[0], tasks[1], tasks[3])] == [[2], [4], [8]]
        assert model.calls[1:] == [
            ("double", [2, 3, -1, 4]),
            ("double", [2]),
            ("double", [3, -1]),
            ("double", [4]),
        ]

    run(test)


def test_another_failure_is_told_to_all_of_the_batch_and_the_next_one_goes_on():
    model = HeldModel()

    async def test(batcher):
        tasks = await asked(batcher, work(model, 1), work(model, 2), work(model, 3))
        model.run, right = lambda *_: (_ for _ in ()).throw(MemoryError("full")), model.run
        model.go.release(9)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in answers[1:]] == [MemoryError] * 2
        model.run = right
        assert (await batcher.run(work(model, 5))).outputs["y"].tolist() == [[10]]

    run(test)


def test_what_nobody_waits_for_any_more_is_not_computed():
    model = HeldModel()

    async def test(batcher):
        tasks = await asked(batcher, work(model, 1), work(model, 2), work(model, 3))
        tasks[1].cancel()
        await asyncio.sleep(0)
        model.go.release(9)
        await asyncio.gather(tasks[0], tasks[2])
        assert [values for _, values in model.calls] == [[1], [3]]

    run(test)


def test_a_lone_client_never_waits_and_a_crowd_is_waited_for():
    """The window is so long that whoever waits for it in vain fails the test by time."""
    model = HeldModel()
    model.go.release(99)

    async def client(batcher, number):
        for _ in range(3):
            await batcher.run(work(model, number))
            await asyncio.sleep(0.01 * number)  # the first is back at once, the others later

    async def test(batcher):
        for number in range(5):
            await batcher.run(work(model, number))
        model.calls.clear()
        await asyncio.gather(*(client(batcher, number) for number in range(4)))
        assert [len(values) for _, values in model.calls] == [4, 4, 4]

    run(test, batch_window_share=1e9)
