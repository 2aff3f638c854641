"""`petseg clean`: removes what old runs left, and never what is in use or needed again.

Nothing here imports TensorFlow unless the push destination is an object store.
"""

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from pipeline.commands.options import FAILURE, config_options, json_option, pipeline_root_option, resolve_config
from pipeline.config.housekeeping import size_in_bytes
from pipeline.housekeeping.cleaning import clean as remove_old_runs
from pipeline.housekeeping.cleaning import look, too_large
from pipeline.housekeeping.policy import Rules
from pipeline.housekeeping.tables import as_json as plan_json
from pipeline.housekeeping.tables import outcome, plan_table, summary
from pipeline.runs.store import RunStore
from pipeline.terminal.streams import json_text, notify, say
from pipeline.terminal.tables import print_table
from trainer_module.errors import ConfigError

_TOO_LARGE: Final = 3
_AGE: Final = re.compile(r"([1-9]\d{0,3})([dw])")
_DAYS: Final = {"d": 1, "w": 7}


def _size(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    try:
        return size_in_bytes(text) if text is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _age(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = _AGE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"expected days, as 30d, or weeks, as 8w; got {text!r}")
    return timedelta(days=int(found[1]) * _DAYS[found[2]])


@click.command("clean")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of each pipeline, keep the N latest complete runs that trained or evaluated; overrides "
    "housekeeping.keep_runs.",
)
@click.option(
    "--older-than", callback=_age, metavar="AGE", help="Remove only runs older than that: days, 30d, or weeks, 8w."
)
@click.option(
    "--max-size",
    "max_bytes",
    callback=_size,
    metavar="SIZE",
    help="Remove older runs, too, while the root is larger, as 20GB; overrides housekeeping.max_size.",
)
@click.option("--records", is_flag=True, help="Remove the records and reports of removed runs, too.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_options
@pipeline_root_option("Directory that runs leave everything in; overrides pipeline.root.")
@json_option("Print what goes, what stays and why as JSON; with --yes or --dry-run.")
@click.pass_context
def clean(
    ctx: click.Context,
    /,
    keep: int | None,
    older_than: timedelta | None,
    max_bytes: int | None,
    records: bool,
    dry_run: bool,
    yes: bool,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    as_json: bool,
) -> None:
    """Remove what old runs left: artifacts with their metadata, logs, and what killed runs did not clean up.

    What is served, pinned, the baseline of the newest evaluation, the latest complete run, and whatever these or the
    next run take from the cache stays. So do pushed models, data sets, and the records and reports of removed runs. It
    is shown first what would go.

    Exit codes: 0 done, 1 failure, 2 bad usage or configuration, 3 done, but the root is larger than --max-size with
    what must not go, 130 interrupted or not agreed to.
    """
    config = resolve_config(preset, config_file, overrides, pipeline_root, announce_default=pipeline_root is None)
    settings = config.housekeeping
    rules = Rules(
        keep if keep is not None else settings.keep_runs,
        older_than,
        max_bytes if max_bytes is not None else settings.max_bytes,
        removes_records=records,
    )
    if rules.keep is None and rules.older_than is None and rules.max_bytes is None:
        raise ConfigError(
            "nothing says what may go: give --keep N, --older-than AGE or --max-size SIZE, or set "
            "housekeeping.keep_runs or housekeeping.max_size"
        )
    if not (yes or dry_run) and (as_json or not sys.stdin.isatty()):
        raise click.UsageError("nobody can be asked whether it is to go: give --yes, or --dry-run only to look")
    store = RunStore(config.pipeline.root)
    plan, removed = look(store, config, rules), None
    if not as_json:
        print_table(plan_table(plan))
        say(summary(plan))
    if not (dry_run or plan.is_empty):
        if not yes:
            click.confirm(f"remove it from {str(store.root)!r}?", abort=True, err=True)
        removed = remove_old_runs(store, config, rules, plan)
        if not as_json:
            say(outcome(removed))
    if as_json:
        click.echo(json_text(plan_json(str(store.root), plan, removed)))
    for problem in removed.problems if removed else ():
        notify(f"warning: {problem}", "yellow")
    if plan.is_too_large:
        notify(f"warning: {too_large(plan)}", "yellow")
    ctx.exit(FAILURE if removed and removed.problems else _TOO_LARGE if plan.is_too_large else 0)
