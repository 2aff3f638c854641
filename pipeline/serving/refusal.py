"""What a request is answered with that cannot be served."""


class RefusedError(Exception):
    """A request that is answered with an HTTP status and `{"error": message}`."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
