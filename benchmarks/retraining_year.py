"""A year of scheduled retraining in an afternoon: a firing a day by a clock of its own, with what goes wrong in a year.

    .venv/bin/python benchmarks/retraining_year.py --out year --json year.json

Every firing is the command that the schedule's crontab entry holds, started at its time; data are uploaded and
imported, models rolled back and pushes frozen by petseg's own commands. The clock alone is not the machine's
(`time-machine`), the network is small, and the scheduler is this script, which starts what is enabled. Filling the disk
takes a disk of its own, which root can mount; else that fault is left out, and said.

At its end it prints what came of each firing, why, and three numbers that have to be 0 or flat: firings that left no
trace; pushed versions that are worse than their predecessor, beyond noise, on the test split of the first data version,
which is evaluated here anew; and the disk of the pipeline root over the year.
"""

import argparse
import dataclasses
import http.server
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import retraining_process
from retraining_world import FIRST_DAY, NAME, World

from components.model_pusher.ledger import Ledger
from components.model_pusher.version_store import complete_versions
from pipeline.housekeeping.disk import disk_usage
from pipeline.runs.record import RunRecord, RunState
from pipeline.runs.store import RunStore
from pipeline.schedules.crontab import Crontab
from pipeline.schedules.firings import FiringRecord
from trainer_module.segmentation_metrics import difference_metrics

_HOUR: Final = 3
_SCHEDULE: Final = "year"
_FIRST_UPLOAD: Final = 240
_UPLOAD: Final = 60
_DISK_BYTES: Final = 6 * 2**30
_CHUNK_BYTES: Final = 2**28
_OUTCOMES: Final = ("pushed", "not pushed", "skipped", "refused", "killed", "paused")
_CONFIG: Final = """\
preset = "demo"

[pipeline]
name = "year"
root = "{root}"

[data]
dataset = "year"
data_dir = "{data_dir}"
image_size = 32
download = false

[trainer]
epochs = {epochs}
sample_epochs = []

[evaluation]
min_accuracy = {min_accuracy}
slices = []
suspects = 0
reference = "year:1.0.0"

[retraining]
max_age = "60d"

[housekeeping]
keep_runs = 3
max_size = "60MB"

[notification]
webhook = true
outcomes = ["failed", "interrupted", "refused", "pushed", "done"]

[schedule]
name = "year"
cron = "0 3 * * *"
"""

Event = Callable[["Simulation"], None]


@dataclasses.dataclass
class Row:
    """What came of the firing of one day."""

    day: int
    at: str
    outcome: str
    """`pushed`, `not pushed`, `skipped`, `refused`, `killed`, `overlap`, `paused` or `lost`."""

    why: str
    run: str = ""
    data: str = ""
    accuracy: float | None = None
    mean_iou: float | None = None
    pushed: int | None = None
    served: int | None = None
    seconds: float = 0.0
    disk_mb: float = 0.0
    event: str = ""


class Simulation:
    """One year, or a part of one."""

    def __init__(self, directory: Path, seed: int, tell: Callable[[str], None]) -> None:
        self.directory = directory
        self.root = directory / "root"
        self.world = World(directory, seed)
        self.rows: list[Row] = []
        self.settings: dict[str, Any] = {"epochs": 2, "min_accuracy": 0.3}
        self.kill_after: float | None = None
        self.fill_after: float | None = None
        self.is_doubled = False
        self.clock_offset = timedelta()
        self.scores: dict[int, tuple[tuple[float, float], Any]] = {}
        self.worse: list[str] = []
        self.day = 0
        self.events_today: list[str] = []
        self._random = random.Random(seed)
        self._tell = tell
        self._kept_shard: Path | None = None
        self.webhook = Webhook(directory / "messages.jsonl")
        self._environment = {
            "PATH": f"{Path(__file__).parents[1] / 'tests' / 'fake_schedulers'}:/usr/bin:/bin",
            "FAKE_SCHEDULERS": str(directory),
            "HOME": str(directory),
            "PETSEG_WEBHOOK_URL": self.webhook.url,
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.store = RunStore(self.root)

    @property
    def now(self) -> datetime:
        """When the firing of the day is due."""
        first = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, _HOUR, tzinfo=UTC)
        return first + timedelta(days=self.day) + self.clock_offset

    @property
    def destination(self) -> str:
        return str(self.root / "serving_model" / NAME)

    def petseg(self, *arguments: str, hour: float = -1.0) -> int:
        """Runs a command of petseg some hours from the firing of the day; what it prints goes to a log."""
        at = self.now + timedelta(hours=hour)
        log = self.directory / "commands.log"
        return retraining_process.run(arguments, at, self._environment, str(self.directory), log)

    def with_config(self, *arguments: str) -> list[str]:
        return [*arguments, f"--config={self.directory / 'year.toml'}"]

    def configure(self, **settings: Any) -> None:
        """Writes the configuration that each firing reads anew."""
        self.settings |= settings
        text = _CONFIG.format(root=self.root, data_dir=self.world.data_dir, **self.settings)
        (self.directory / "year.toml").write_text(text, encoding="utf-8")

    def take_in(self) -> None:
        """Has the uploads imported, as the next version of the data set."""
        shares, classes = "train=0.6,eval=0.1,test=0.3", ("pet=1", "background=2", "border=3")
        arguments = [str(self.world.uploads), "--name", NAME, "--data-dir", str(self.world.data_dir), "--workers", "1"]
        arguments += ["--split", shares, *(f"--class={one}" for one in classes)]
        code = self.petseg("data", "import", *arguments)
        if code:
            raise RuntimeError(f"day {self.day}: the import ended with {code}; see {self.directory / 'commands.log'}")

    def fire(self) -> None:
        """Does what a scheduler does at the time of a firing, and writes down what came of it."""
        os.environ.update(self._environment)
        entries = [installed for installed in Crontab().entries() if installed.entry.name == _SCHEDULE]
        known = set(self.store.run_ids())
        before = FiringRecord.load(self.root, _SCHEDULE)
        if not entries or not entries[0].enabled:
            self._add(Row(self.day, self.now.isoformat(), "paused", "the schedule is paused"))
            return
        command = entries[0].entry.argv()
        arguments = command[command.index("petseg") + 1 :]
        carried = entries[0].entry.environment
        started = time.monotonic()
        log = self.directory / "firings.log"
        processes = [
            retraining_process.start(arguments, self.now, self._environment | carried, str(self.directory), log)
            for _ in range(2 if self.is_doubled else 1)
        ]
        filler = self.root / "filler"
        if self.kill_after is not None:
            processes[0].join(self.kill_after)
            was_alive = processes[0].is_alive()
            processes[0].kill()
            self.events_today.append("killed" if was_alive else "to be killed, but it had ended")
        elif self.fill_after is not None:
            processes[0].join(self.fill_after)
            _fill(filler)
        for process in processes:
            process.join()
        filler.unlink(missing_ok=True)
        seconds = time.monotonic() - started
        new = sorted(set(self.store.run_ids()) - known)
        after = FiringRecord.load(self.root, _SCHEDULE)
        is_overlap = (
            after is not None and after.skipped is not None and (before is None or after.skipped != before.skipped)
        )
        codes = [process.exitcode for process in processes]
        if new:
            row = self._row_of(self.store.record(new[-1]))
        elif self.kill_after is not None:
            row = Row(self.day, self.now.isoformat(), "killed", "before the run had a record")
        elif after is not None and after.last is not None and after.last.reason:
            row = Row(self.day, self.now.isoformat(), "refused", after.last.reason)
        elif any(codes):
            row = Row(self.day, self.now.isoformat(), "refused", _last_line(log))
        else:
            row = Row(self.day, self.now.isoformat(), "lost", f"exit codes {codes}, and no record")
        if is_overlap:
            self.events_today.append("the other firing was skipped")
        elif self.is_doubled:
            self.events_today.append(f"two firings, {len(new)} runs")
        row.seconds = seconds
        self._add(row)
        self.kill_after, self.fill_after, self.is_doubled = None, None, False

    def _row_of(self, record: RunRecord) -> Row:
        data = record.dataset.version if record.dataset else record.decision.origin.version if record.decision else ""
        row = Row(self.day, self.now.isoformat(), "", "", record.run_id, data)
        if record.metrics:
            row.accuracy, row.mean_iou = record.metrics.get("accuracy"), record.metrics.get("mean_iou")
        if record.state is RunState.INTERRUPTED:
            row.outcome, row.why = "killed", record.error or ""
        elif record.state is RunState.FAILED:
            row.outcome, row.why = "refused", record.error or ""
        elif record.decision is not None and not record.decision.trains:
            row.outcome, row.why = "skipped", record.decision.summary.removeprefix("not to train: ")
        else:
            row.outcome = "pushed" if record.pushed_model else "not pushed"
            row.why = record.decision.summary.removeprefix("to train: ") if record.decision else ""
            if record.pushed_model:
                row.pushed = int(Path(record.pushed_model).name)
            else:
                from pipeline.runs.tables import verdict_line

                row.why += f" → {verdict_line(record)}"
        return row

    def _add(self, row: Row) -> None:
        versions = complete_versions(self.destination)
        row.served = versions[-1] if versions else None
        row.disk_mb = round(disk_usage(self.root) / 1e6, 1)
        row.event = "; ".join(self.events_today)
        self.rows.append(row)
        if row.pushed is not None:
            self._compare(row.pushed, versions)
        self._tell(
            f"{row.day:3d} {row.outcome:10s} {row.seconds:5.1f} s {row.disk_mb:7.1f} MB  {row.why[:150]}"
            + (f"  [{row.event}]" if row.event else "")
        )

    def _compare(self, version: int, versions: Sequence[int]) -> None:
        """Evaluates a pushed version on the first test split, and says whether it is worse than the one before."""
        for one in versions:
            if one not in self.scores:
                found = retraining_process.replicates(
                    f"{self.destination}/{one}", str(self.world.data_dir), f"{NAME}:1.0.0"
                )
                self.scores[one] = (found[0], np.array(found[1]))
        earlier = [one for one in versions if one < version]
        if earlier:
            (new, new_replicates), (old, old_replicates) = self.scores[version], self.scores[earlier[-1]]
            changes = difference_metrics(new, old, new_replicates, old_replicates)
            if changes["mean_iou_difference_high"] < 0:
                self.worse.append(f"{version}: mean IoU {changes['mean_iou_difference']:+.4f} against {earlier[-1]}")

    # What happens on a day.

    def upload(self) -> None:
        self.world.upload(self.day, _UPLOAD)
        self.take_in()

    def kill_the_firing(self) -> None:
        self.kill_after = self._random.uniform(1.0, 30.0)

    def pause(self) -> None:
        self.petseg(*self.with_config("schedule", "pause", "--local"))

    def resume(self) -> None:
        self.petseg(*self.with_config("schedule", "resume", "--local"))

    def lose_all_masks(self) -> None:
        self.world.blank_all_masks()
        self.take_in()

    def mend_masks(self) -> None:
        self.world.restore_masks()
        self.take_in()

    def damage_data(self) -> None:
        self._kept_shard = self.world.damage_newest_version()

    def mend_data(self) -> None:
        if self._kept_shard is not None:
            self.world.mend_newest_version(self._kept_shard)

    def withdraw_data(self) -> None:
        self.world.take_back()

    def train_longer(self) -> None:
        self.configure(epochs=self.settings["epochs"] + 4)

    def raise_the_gate(self) -> None:
        self.configure(min_accuracy=self.settings["min_accuracy"] + 0.2)

    def roll_back(self) -> None:
        code = self.petseg(*self.with_config("models", "rollback"))
        self.events_today[-1] += "" if code == 0 else " (refused)"

    def freeze(self) -> None:
        self.petseg(*self.with_config("freeze", "an audit"))

    def unfreeze(self) -> None:
        self.petseg(*self.with_config("unfreeze"))

    def lose_the_network(self) -> None:
        self.webhook.stop()

    def find_the_network(self) -> None:
        self.webhook.start()

    def fill_the_disk(self) -> None:
        if _is_own_disk(self.root):
            _fill(self.root / "filler", leave=2**29)

    def fill_the_disk_during_the_run(self) -> None:
        if _is_own_disk(self.root):
            self.fill_after = 15.0

    def fire_twice(self) -> None:
        self.is_doubled = True

    def set_the_clock_back(self) -> None:
        self.clock_offset = timedelta(days=-3)

    def set_the_clock_right(self) -> None:
        self.clock_offset = timedelta()

    def lose_images(self) -> None:
        self.world.hide_images()
        self.take_in()

    def find_images(self) -> None:
        self.world.show_images()
        self.take_in()


S = Simulation
YEAR: Final[dict[int, tuple[Event, ...]]] = {
    **dict.fromkeys(range(14, 300, 14), (S.upload,)),
    21: (S.train_longer, S.kill_the_firing),
    56: (S.upload, S.kill_the_firing),
    70: (S.upload, S.pause),
    77: (S.resume,),
    91: (S.lose_all_masks,),
    94: (S.mend_masks,),
    98: (S.upload, S.damage_data),
    100: (S.mend_data,),
    112: (S.upload, S.kill_the_firing),
    126: (S.upload, S.train_longer),
    128: (S.roll_back,),
    154: (S.upload,),
    156: (S.withdraw_data,),
    168: (S.upload, S.lose_the_network),
    175: (S.find_the_network,),
    182: (S.upload, S.kill_the_firing),
    190: (S.fill_the_disk,),
    196: (S.upload, S.fill_the_disk_during_the_run),
    203: (S.fire_twice,),
    209: (S.freeze,),
    221: (S.unfreeze,),
    231: (S.set_the_clock_back,),
    234: (S.set_the_clock_right,),
    245: (S.raise_the_gate, S.kill_the_firing),
    281: (S.lose_images,),
    284: (S.find_images,),
}
"""Day to what happens on it before its firing; from day 300 on nothing new comes."""

MONTH: Final[dict[int, tuple[Event, ...]]] = {
    1: (S.train_longer, S.kill_the_firing),
    3: (S.lose_all_masks,),
    5: (S.mend_masks,),
    6: (S.pause,),
    8: (S.resume, S.fire_twice),
    10: (S.roll_back,),
    12: (S.freeze, S.train_longer),
    14: (S.unfreeze,),
    16: (S.set_the_clock_back,),
    18: (S.set_the_clock_right,),
}
"""The same for a test: less than three weeks."""


class Webhook:
    """A server that takes messages for people, in a process of its own, which can be away."""

    def __init__(self, messages: Path) -> None:
        self._messages = messages
        with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
            self._port = server.server_port
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        script = Path(__file__).with_name("retraining_webhook.py")
        self._process = subprocess.Popen([sys.executable, str(script), str(self._port), str(self._messages)])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def count(self) -> int:
        return len(self._messages.read_text().splitlines()) if self._messages.exists() else 0


def _is_own_disk(directory: Path) -> bool:
    return directory.is_mount()


def _fill(file: Path, leave: int = 0) -> None:
    """Leaves so many bytes of the disk that a file is on, while others write there, too."""
    chunk, size = _CHUNK_BYTES, 0
    with file.open("wb") as stream:
        while chunk and (free := shutil.disk_usage(file.parent).free - leave) > 0:
            length = min(chunk, free)
            try:
                os.posix_fallocate(stream.fileno(), size, length)
            except OSError:
                chunk //= 2
            else:
                size += length


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    return lines[-1] if lines else ""


@contextmanager
def _disk(root: Path) -> Iterator[bool]:
    """Gives the pipeline root a disk of its own, where this process may; yields whether it has one."""
    root.mkdir()
    is_mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "petseg-year", str(root)],
            capture_output=True,
            check=False,
        ).returncode
    )
    try:
        yield is_mounted
    finally:
        if is_mounted:
            kept = root.with_name("root-kept")
            shutil.copytree(root, kept, ignore=shutil.ignore_patterns("filler"), symlinks=True)
            subprocess.run(["umount", str(root)], check=False)
            root.rmdir()
            kept.rename(root)


def simulate(
    directory: Path, days: int, plan: Mapping[int, Sequence[Event]], seed: int, tell: Callable[[str], None]
) -> Simulation:
    """Lives through the days, and returns the simulation with its rows.

    Args:
      directory: For all that is made; empty or absent.
      days: How many.
      plan: Day to what happens on it before its firing.
      seed: Of pictures and of what happens by chance.
      tell: Is told a line a day.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _disk(directory / "root") as has_disk:
        if not has_disk:
            tell("the disk is not filled: that takes a disk of its own, which only root can mount")
        year = Simulation(directory, seed, tell)
        try:
            year.configure()
            year.world.upload(0, _FIRST_UPLOAD)
            year.take_in()
            if code := year.petseg(*year.with_config("schedule", "apply", "--local")):
                raise RuntimeError(f"schedule apply ended with {code}; see {directory / 'commands.log'}")
            for day in range(days):
                year.day, year.events_today = day, []
                for event in plan.get(day, ()):
                    year.events_today.append(event.__name__.replace("_", " "))
                    event(year)
                year.fire()
        finally:
            year.webhook.stop()
    return year


def summary(year: Simulation) -> dict[str, Any]:
    """Returns the numbers of the year."""
    counts = Counter(row.outcome for row in year.rows)
    trained = [row for row in year.rows if row.outcome in ("pushed", "not pushed")]
    skipped = [row.seconds for row in year.rows if row.outcome == "skipped"]
    whole = [row.seconds for row in trained if row.seconds]
    disk = [row.disk_mb for row in year.rows]
    ledger = Ledger.of(year.destination)
    return {
        "firings": len(year.rows),
        "outcomes": dict(counts),
        "trained": len(trained),
        "rolled back": sum(1 for event in ledger.events if event.event == "rollback"),
        "firings lost": counts["lost"],
        "versions worse than their predecessor beyond noise": year.worse,
        "seconds of a firing with nothing to do, median": round(float(np.median(skipped)), 2) if skipped else None,
        "seconds of a firing that trains, median": round(float(np.median(whole)), 2) if whole else None,
        "disk, MB, by quarter": [round(max(part), 1) for part in np.array_split(disk, 4) if len(part)],
        "messages": year.webhook.count,
    }


def by_month(rows: Sequence[Row]) -> list[str]:
    """Returns a table in Markdown: how many firings of each month had which outcome."""
    columns = [*_OUTCOMES, "lost"]
    months: dict[str, Counter[str]] = {}
    for row in rows:
        first = FIRST_DAY + timedelta(days=row.day)
        months.setdefault(f"{first:%Y-%m}", Counter())[row.outcome] += 1
    months["the year"] = sum(months.values(), Counter())
    lines = [f"| | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
    return lines + [
        f"| {month} | {' | '.join(str(counts[column] or '') for column in columns)} |"
        for month, counts in months.items()
    ]


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is made; must not be there")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--month", action="store_true", help="the three weeks of the test instead of the year")
    parser.add_argument("--json", type=Path, help="file for the rows and the summary")
    arguments = parser.parse_args()
    started = time.monotonic()
    plan, days = (MONTH, min(arguments.days, 23)) if arguments.month else (YEAR, arguments.days)
    year = simulate(arguments.out.resolve(), days, plan, arguments.seed, print)
    found = summary(year) | {"seconds": round(time.monotonic() - started)}
    print("\n".join(by_month(year.rows)))
    print(json.dumps(found, indent=2))
    if arguments.json:
        rows = [dataclasses.asdict(row) for row in year.rows]
        arguments.json.write_text(json.dumps({"summary": found, "rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
