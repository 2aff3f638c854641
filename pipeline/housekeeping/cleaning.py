"""Cleaning a pipeline root: looked at, agreed to, done while no run goes on; and the same at the end of a firing."""

from datetime import UTC, datetime

from pipeline.config.schema import Config
from pipeline.housekeeping.inventory import take_inventory
from pipeline.housekeeping.plan import Plan, make_plan
from pipeline.housekeeping.policy import Rules
from pipeline.housekeeping.removal import Removed, carry_out
from pipeline.runs.store import CLEANING, RunStore
from pipeline.terminal.tables import size_words
from trainer_module.errors import PetsegError


def look(store: RunStore, config: Config, rules: Rules, *, is_held: bool = False) -> Plan:
    """Returns what would go.

    Args:
      store: The root.
      config: Says where models are served, and which are pinned.
      rules: How much stays.
      is_held: Whether the caller holds the root; else a run may go on meanwhile.

    Raises:
      PetsegError: There is no root, or its metadata, or what is served, cannot be read.
    """
    if not store.root.is_dir():
        raise PetsegError(f"there is no pipeline root {str(store.root)!r}; name it with --pipeline-root DIR")
    active = None if is_held else store.active_run()
    return make_plan(take_inventory(store, config, active), rules, datetime.now(UTC))


def clean(store: RunStore, config: Config, rules: Rules, shown: Plan) -> Removed:
    """Removes what the rules say, while the root is held.

    Args:
      store: The root.
      config: Says where models are served, and which are pinned.
      rules: How much stays.
      shown: What `look` returned, and somebody agreed to.

    Raises:
      PetsegError: The root is used by a run, or cannot be read; or something would go that was not agreed to.
    """
    with store.lock(CLEANING):
        plan = look(store, config, rules, is_held=True)
        if not (plan.paths <= shown.paths and plan.executions <= shown.executions):
            raise PetsegError(
                f"runs have changed what is in {str(store.root)!r} since it was looked at; nothing was removed: run "
                "petseg clean again"
            )
        return carry_out(store, plan, datetime.now(UTC))


def housekeeping(config: Config, store: RunStore) -> list[str]:
    """Removes what `[housekeeping]` says, at the end of a firing, which never fails by it.

    Returns:
      What is to be logged: what was freed, and what was not as it should be; nothing where there is nothing to say.
    """
    settings = config.housekeeping
    if not settings.is_set:
        return []
    rules = Rules(keep=settings.keep_runs, max_bytes=settings.max_bytes)
    try:
        with store.lock(CLEANING):
            plan = look(store, config, rules, is_held=True)
            removed = None if plan.is_empty else carry_out(store, plan, datetime.now(UTC))
    except (PetsegError, OSError) as error:
        return [f"warning: nothing was cleaned: {error}"]
    except Exception as error:  # noqa: BLE001 (a firing that has trained and pushed does not fail by this)
        return [f"warning: nothing was cleaned: {type(error).__name__}: {error}"]
    lines = []
    if removed is not None:
        lines.append(f"cleaned: freed {size_words(removed.freed)}, {size_words(removed.left)} are left")
        lines += [f"warning: {problem}" for problem in removed.problems]
    if plan.is_too_large:
        lines.append(f"warning: {too_large(plan)}")
    return lines


def too_large(plan: Plan) -> str:
    """Says by how much a root is too large, and what it is full of."""
    rest = [f"{size_words(size)} in {name}" for name, size in plan.rest.items() if size]
    return (
        f"the root takes {size_words(plan.left)}, more than the {size_words(plan.max_bytes or 0)} it may, and the rest "
        f"does not go by itself: {', '.join(rest)}. Raise the bound, keep fewer versions (push.keep_versions), give "
        "up old records (petseg clean --records), or keep data elsewhere (data.data_dir)"
    )
