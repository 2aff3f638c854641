"""What is to be told of one run, and what of it was: the files `tracking/` of the run.

    items.jsonl   every item, one a line, in the order in which they are sent
    state.json    where to, which items were sent, and why one was not
    .lock         held by whoever sends

Items are only ever added. One that the server does not take stays among those that wait, and holds up no other.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from pipeline.tracking.address import Address
from pipeline.tracking.errors import TrackerError
from pipeline.tracking.items import ITEM, Beginning, End, Item, Metrics
from trainer_module.errors import PetsegError

DIRECTORY: Final = "tracking"


class Place(BaseModel):
    """Where the run is on the server."""

    mlflow_run_id: str
    url: str
    is_joined: bool = False
    """Whether somebody else made the run there, and ends it."""


class OutboxState(BaseModel):
    """What was sent, and where to."""

    address: Address
    beginning: Beginning
    place: Place | None = None
    sent: set[int] = set()
    """Numbers of the lines that the server has."""

    refused: dict[int, str] = {}
    """Number of a line to why the server does not take it."""

    problem: str | None = None
    """Why sending ended the last time; None when nothing kept it from going on."""


class Outbox:
    """The items of one run."""

    def __init__(self, directory: Path, state: OutboxState) -> None:
        """Takes up what is there, or begins anew; see `begin` and `open`."""
        self.directory = directory
        self.state = state
        self._items: list[Item] = []
        self._known: set[str] = set()
        self._file = directory / "items.jsonl"
        self._read()

    @classmethod
    def begin(cls, directory: Path, address: Address, beginning: Beginning) -> "Outbox":
        """Returns the outbox in a directory, which is made where it is absent."""
        directory.mkdir(parents=True, exist_ok=True)
        outbox = cls(directory, OutboxState(address=address, beginning=beginning))
        outbox.save()
        return outbox

    @classmethod
    def open(cls, directory: Path) -> "Outbox | None":
        """Returns the outbox in a directory; None where there is none.

        Raises:
          PetsegError: It cannot be read.
        """
        file = directory / "state.json"
        try:
            return cls(directory, OutboxState.model_validate_json(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            raise PetsegError(
                f"what waits for the tracker cannot be read from {str(file)!r}: {error}; without the file, "
                "`petseg track sync RUN` tells of the run anew"
            ) from error

    def add(self, items: Iterable[Item]) -> None:
        """Adds the items that are not there yet."""
        lines = []
        for item in items:
            line = ITEM.dump_json(item).decode()
            if line not in self._known:
                self._known.add(line)
                self._items.append(item)
                lines.append(f"{line}\n")
        if lines:
            with self._file.open("a", encoding="utf-8") as file:
                file.writelines(lines)

    def waiting(self) -> list[tuple[int, Item]]:
        """Returns the items that the server has not, with their numbers, in order."""
        return [(number, item) for number, item in enumerate(self._items) if number not in self.state.sent]

    @property
    def waits(self) -> bool:
        """Whether the server lacks something: an item, or the end of a run that was killed."""
        return bool(self.waiting()) or not any(isinstance(item, End) for item in self._items)

    def item(self, number: int) -> Item:
        return self._items[number]

    def mark_sent(self, number: int) -> None:
        self.state.sent.add(number)
        self.state.refused.pop(number, None)
        self.save()

    def mark_refused(self, number: int, reason: str) -> None:
        self.state.refused[number] = reason
        self.save()

    def begin_anew(self, address: Address) -> None:
        """Makes the outbox one of which nothing was sent, with what no record tells: the times of the epochs."""
        epochs = [item for item in self._items if isinstance(item, Metrics) and item.is_curve]
        self.state = OutboxState(address=address, beginning=self.state.beginning)
        self.save()
        self._file.unlink(missing_ok=True)
        self._items, self._known = [], set()
        self.add(epochs)

    def save(self) -> None:
        """Writes the state; whoever reads at the same time sees the old or the new one, whole."""
        temporary = self.directory / f".state.{os.getpid()}"
        temporary.write_text(self.state.model_dump_json(indent=2) + "\n", encoding="utf-8")
        temporary.replace(self.directory / "state.json")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the outbox, so that nobody else sends from it.

        Raises:
          TrackerError: Another process does.
        """
        descriptor = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TrackerError("another process is sending it") from error
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> None:
        """Reads the items; a last line that was cut off by a kill is taken away."""
        if not self._file.is_file():
            return
        data = self._file.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._file.write_bytes(whole)
        for line in whole.decode().splitlines():
            self._known.add(line)
            self._items.append(ITEM.validate_json(line))
