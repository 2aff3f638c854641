"""Moves the aliases of the registered model when another version comes to be served, by hand or by KServe.

What the server could not be told is kept under the pipeline root, the last state of each registered model alone, and
sent by `petseg track sync`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from components.kserve_deployer.service import RolloutState, version_of
from pipeline.config.schema import Config
from pipeline.runs.store import RunStore
from pipeline.tracking.address import Address
from pipeline.tracking.errors import RefusedError, TrackerError, told
from pipeline.tracking.registry import CHALLENGER, CHAMPION, Registry
from pipeline.tracking.server import TIMEOUT_VARIABLE, TrackingServer
from trainer_module.errors import PetsegError

_FILE: Final = "tracking_aliases.json"
_TIMEOUT_SECONDS: Final = "5"


class AliasMove(BaseModel):
    """What a registered model's aliases are to be."""

    address: Address
    aliases: dict[str, str | None]
    """Alias to the number of the pushed version; None where no version has it."""

    copies: dict[str, str] = {}
    """Number of a version to that under which its model was first pushed."""


class _Waiting(BaseModel):
    moves: dict[str, AliasMove] = {}
    """By server and registered model."""


def served_by_kserve(config: Config, state: RolloutState) -> str | None:
    """Moves the aliases to what KServe serves since.

    Args:
      config: Of the pipeline.
      state: What is served.

    Returns:
      What could not be told, and how to tell it later; None when all is well, or no server is named.
    """
    canary = version_of(state.canary) if state.canary and state.percent else None
    return _move(config, {CHAMPION: version_of(state.stable), CHALLENGER: canary}, {})


def rolled_back(config: Config, version: int, copy_of: int | None) -> str | None:
    """Moves the alias back to the version that was brought back, under its new number.

    With KServe, which goes on serving what it serves, only the number is told.

    Args:
      config: Of the pipeline.
      version: The new number.
      copy_of: The number that it was pushed under before.

    Returns:
      What could not be told, and how to tell it later; None when all is well, or no server is named.
    """
    aliases: dict[str, str | None] = {} if config.push.kserve.enabled else {CHAMPION: str(version)}
    return _move(config, aliases, {} if copy_of is None else {str(version): str(copy_of)})


def waiting_moves(root: Path) -> list[AliasMove]:
    """Returns the moves of aliases that the server has not heard of.

    Raises:
      PetsegError: Their file cannot be read.
    """
    return list(_read(root).moves.values())


def send_waiting_moves(root: Path) -> list[str]:
    """Sends the moves that wait; returns what is in the way of those that go on waiting."""
    problems = []
    for move in waiting_moves(root):
        try:
            _send(move)
        except TrackerError as error:
            problems.append(f"aliases of {move.address.registered_model!r}: {error}")
        else:
            _keep(root, move.address, None)
    return problems


def _move(config: Config, aliases: Mapping[str, str | None], copies: Mapping[str, str]) -> str | None:
    try:
        address = Address.of_config(config)
    except PetsegError as error:
        return f"MLflow does not hear of it: {error}"
    if address is None:
        return None
    os.environ.setdefault(TIMEOUT_VARIABLE, _TIMEOUT_SECONDS)  # whoever moves them waits for it
    root = RunStore(config.pipeline.root).root
    before = _read(root).moves.get(_key(address))
    move = AliasMove(
        address=address,
        aliases={**(before.aliases if before else {}), **aliases},
        copies={**(before.copies if before else {}), **copies},
    )
    try:
        _send(move)
    except RefusedError as error:
        return f"MLflow's aliases were not moved: {error}"
    except TrackerError as error:
        _keep(root, address, move)
        return f"MLflow's aliases wait to be moved by `petseg track sync`: {error}"
    _keep(root, address, None)
    return None


def _send(move: AliasMove) -> None:
    """Tells the server.

    Raises:
      TrackerError: It cannot be told now.
      RefusedError: It has no such model.
    """
    server = TrackingServer(move.address)
    registry = Registry(server.client, move.address.registered_model)
    with told(move.address.uri):
        for copy, original in move.copies.items():
            registry.add_copy(original, copy)
        for alias, version in move.aliases.items():
            registry.move(alias, version)


def _key(address: Address) -> str:
    return f"{address.uri} {address.registered_model}"


def _read(root: Path) -> _Waiting:
    file = root / _FILE
    try:
        return _Waiting.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Waiting()
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise PetsegError(f"the aliases that wait for MLflow cannot be read from {str(file)!r}: {error}") from error


def _keep(root: Path, address: Address, move: AliasMove | None) -> None:
    """Writes down a move that waits, or that none does."""
    waiting = _read(root)
    if move is None and _key(address) not in waiting.moves:
        return
    moves = {key: kept for key, kept in waiting.moves.items() if key != _key(address)}
    if move is not None:
        moves[_key(address)] = move
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / f".{_FILE}.{os.getpid()}"
    temporary.write_text(_Waiting(moves=moves).model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(root / _FILE)
