"""Keeping a push destination as it is while training goes on. Nothing here imports TensorFlow for a local one."""

import getpass
import socket
from datetime import UTC, datetime

from components.model_pusher.ledger import Freeze, Ledger, Unfreeze, append
from components.model_pusher.version_store import open_store
from trainer_module.errors import ModelError


def freeze(base_directory: str, reason: str) -> Freeze:
    """Has nothing pushed to a destination from now on; what is served stays, and rollbacks are made.

    Args:
      base_directory: The destination; made if absent.
      reason: For those who wonder why nothing is pushed.

    Raises:
      ModelError: It is frozen already.
    """
    with open_store(base_directory).exclusive():
        present = Ledger.of(base_directory).freeze
        if present is not None:
            raise ModelError(f"{present.summary}. `petseg unfreeze` ends that.")
        event = Freeze(at=datetime.now(UTC), reason=reason, by=_who())
        append(base_directory, event)
    return event


def unfreeze(base_directory: str) -> Freeze:
    """Has models pushed to a destination again, and returns the freeze that is over.

    Raises:
      ModelError: It is not frozen.
    """
    with open_store(base_directory).exclusive():
        present = Ledger.of(base_directory).freeze
        if present is None:
            raise ModelError(f"pushes to {base_directory!r} are not frozen.")
        append(base_directory, Unfreeze(at=datetime.now(UTC), by=_who()))
    return present


def _who() -> str:
    """Returns who this process belongs to; only the machine for a user without an entry."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    return "@".join(filter(None, [user, socket.gethostname()]))
