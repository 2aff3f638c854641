"""One served model: takes bodies of requests, checks them, asks the model, and says whether it is ready."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from pipeline.serving.batching import Answer, Batcher, Measurements, Work
from pipeline.serving.limits import Limits, RefusedError
from pipeline.serving.model import Arrays, InvalidInputError, LoadedModel, Signature
from pipeline.serving.versions import ModelVersions
from pipeline.suggestions import nearest
from trainer_module import features
from trainer_module.encoded_images import ImageRefusedError, ImageTooLargeError, read_header

_RETRY_AFTER_SECONDS: Final = 1


@dataclass
class Service:
    """What the routes share.

    Attributes:
      name: The model's, as it is in the URLs.
      labels: Names that stand for the served version in URLs.
      versions: Which version answers.
      limits: The bounds of requests.
      measurements: Where requests are counted.
      is_draining: Whether the server is about to stop.
    """

    name: str
    labels: Collection[str]
    versions: ModelVersions
    limits: Limits
    measurements: Measurements
    is_draining: bool = False
    _admitted: int = 0
    _batcher: Batcher = field(init=False)

    def __post_init__(self) -> None:
        self._batcher = Batcher(self.limits, self.measurements)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves the queue and looks for new versions while the block runs."""
        async with self._batcher.running():
            watcher = asyncio.create_task(self.versions.watch())
            try:
                yield
            finally:
                watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watcher

    def model(self, name: str, version: int | None = None, label: str | None = None) -> LoadedModel:
        """Returns the model that a URL names.

        Raises:
          RefusedError: It is not served.
        """
        self.check_name(name)
        if label is not None and label not in self.labels:
            raise RefusedError(400, f"there is no version label {label!r}; known are {sorted(self.labels) or 'none'}.")
        current = self.versions.current
        if version not in (None, current.version):
            raise RefusedError(404, f"version {version} of {name!r} is not served; {current.version} is.")
        return current

    def check_name(self, name: str) -> None:
        """Refuses a name that is not the model's."""
        if name != self.name:
            raise RefusedError(404, f"there is no model {name!r} here; the served one is {self.name!r}.")

    def signature(self, model: LoadedModel, name: str) -> Signature:
        """Returns a signature of a model.

        Raises:
          RefusedError: It has none of that name.
        """
        if name not in model.signatures:
            raise RefusedError(
                400,
                f"version {model.version} has no signature {name!r}; it has {[*model.signatures]} "
                f"(did you mean {nearest(name, model.signatures)!r}?).",
            )
        return model.signatures[name]

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Counts a request as taken on while the block runs.

        Raises:
          RefusedError: As many as may be are being read, wait or run.
        """
        if self._admitted >= self.limits.max_queue:
            raise RefusedError(
                429,
                f"the server has {self._admitted} requests at hand, as many as it takes; try again in a moment.",
                {"Retry-After": str(_RETRY_AFTER_SECONDS)},
            )
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def body(self, request: Request) -> bytes:
        """Returns the body of a request.

        Raises:
          RefusedError: It is too long, or does not come in time.
        """
        most = self.limits.max_request_bytes
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > most:
            raise _too_long(most)
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.read_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > most:
                        raise _too_long(most)
        except TimeoutError as error:
            raise RefusedError(
                408,
                f"the request did not arrive within {self.limits.read_seconds:g} s; {len(body):,} bytes came.",
                {"Connection": "close"},
            ) from error
        return bytes(body)

    def work(self, model: LoadedModel, signature: str, inputs: Arrays) -> Work:
        """Returns what a request asks of a model; reads the headers of its images.

        Raises:
          RefusedError: It has too many rows or pixels, or something that is no image by its header.
        """
        rows = len(next(iter(inputs.values()))) if model.signatures[signature].is_batched else 1
        if rows > self.limits.max_rows:
            raise RefusedError(413, f"the request has {rows} rows; {self.limits.max_rows} are the most.")
        takes_images = signature == features.SERVING_SIGNATURE and inputs[features.IMAGE].dtype == object
        images = inputs[features.IMAGE].tolist() if takes_images else []
        return Work(model, signature, inputs, rows, _pixels(images, self.limits.max_pixels))

    async def answer(self, request: Request, work: Work) -> Answer:
        """Asks the model; gives up when the client is gone.

        Raises:
          RefusedError: The model refuses the request.
          ClientDisconnect: The client is gone.
        """
        try:
            return await _while_connected(request, self._batcher.run(work))
        except InvalidInputError as error:
            raise RefusedError(400, str(error)) from error


def _pixels(images: Sequence[bytes], max_pixels: int) -> int:
    """Returns how many pixels the images of a request have together.

    Raises:
      RefusedError: One is neither JPEG nor PNG by its header, or larger than models take; or they are larger together
        than `max_pixels`.
    """
    pixels = 0
    for index, encoded in enumerate(images):
        if not encoded:
            raise RefusedError(400, f"image {index} of the request is empty; expected the bytes of a JPEG or PNG.")
        try:
            header = read_header(encoded)
        except ImageRefusedError as error:
            status = 413 if isinstance(error, ImageTooLargeError) else 400
            raise RefusedError(status, f"image {index} of the request ({len(encoded):,} bytes) {error}.") from error
        pixels += header.width * header.height
        if pixels > max_pixels:
            raise RefusedError(
                413,
                f"image {index} of the request has {header.width}×{header.height} pixels, which makes {pixels:,} with "
                f"those before it; a request may have {max_pixels:,}. Send it smaller, or start the server with "
                "--max-pixels.",
            )
    return pixels


async def _while_connected(request: Request, answer: Awaitable[Answer]) -> Answer:
    asked = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise ClientDisconnect
        return asked.result()
    finally:
        asked.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_long(most: int) -> RefusedError:
    return RefusedError(
        413, f"the request is longer than {most:,} bytes; send less, or start the server with --max-request-mib."
    )
