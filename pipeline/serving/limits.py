"""How much the server takes on at once, and what a request is answered with that cannot be served."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds of requests, batches and waiting."""

    max_batch: int = 16
    """Rows (images) that pass the model together."""

    max_queue: int = 64
    """Requests that are read, wait or run at a time; the next is refused with 429."""

    max_rows: int = 64
    """Rows of one request."""

    max_request_bytes: int = 16 << 20
    """Length of a request's body."""

    max_pixels: int = 32_000_000
    """Pixels of all images of a request together, and of a batch. Decoded and resized, one takes about 16 bytes."""

    batch_window_share: float = 0.1
    """How long a batch may wait for the clients of the batch before it to come back, as a share of that one's time."""

    read_seconds: float = 30
    """Within which a request has to arrive: its headers, and then its body."""

    write_seconds: float = 30
    """After which a client that takes nothing of its answer is cut off."""

    poll_seconds: float = 1
    """How often the server looks for a new version."""

    retry_seconds: float = 60
    """After which a version that did not load is tried again."""

    drain_seconds: float = 1
    """How long `/readyz` says no, and requests are still taken, before the server stops."""

    stop_seconds: float = 30
    """Within which the requests that run have to end when the server stops."""


class RefusedError(Exception):
    """A request that is answered with an HTTP status and `{"error": message}`."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
