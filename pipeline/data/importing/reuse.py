"""The shards of the version before that become shards of the new one, unread."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.data.importing.entries import Entry
from pipeline.data.importing.shards import CopyJob, Shard, copy_shard, shard_files
from pipeline.data.importing.versions import ImportedVersion
from pipeline.data.importing.workers import Workers


def kept_shards(
    version: ImportedVersion, entries: Iterable[Entry], staying: Collection[str], staging: Path, workers: Workers
) -> list[Shard]:
    """Returns the shards of a version without the records that do not stay.

    A shard whose records all stay is taken as it is; of others those that stay are copied.

    Args:
      version: The version before.
      entries: All its files.
      staying: Names of those that stay.
      staging: Directory for copies.
      workers: Make the copies.
    """
    by_shard: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.shard is not None:
            by_shard[entry.split, entry.shard].append(entry)
    counts = {split: 1 + max(number for other, number in by_shard if other == split) for split, _ in by_shard}
    name = version.record.report.name
    files = {split: shard_files(version.directory, name, split, count) for split, count in counts.items()}
    found: dict[tuple[str, int], Shard] = {}
    copies: dict[tuple[str, int], CopyJob] = {}
    for (split, number), of_shard in by_shard.items():
        path = files[split][number]
        positions = tuple(position for position, entry in enumerate(of_shard) if entry.name in staying)
        kept = tuple(of_shard[position] for position in positions)
        if len(kept) == len(of_shard):
            found[split, number] = Shard(path, split, kept)
        elif kept:
            copies[split, number] = CopyJob(str(path), positions, kept, str(staging))
    copied = dict(workers.run(_copied, copies.values()))
    found |= {place: copied[job.shard] for place, job in copies.items()}
    return [shard for _, shard in sorted(found.items())]


def numbered(shards: Iterable[Shard], splits: Sequence[str]) -> dict[str, list[Shard]]:
    """Returns each of the splits with its shards, whose entries have the shard's number."""
    by_split: dict[str, list[Shard]] = {split: [] for split in splits}
    for shard in shards:
        of_split = by_split[shard.split]
        entries = tuple(replace(entry, shard=len(of_split)) for entry in shard.entries)
        of_split.append(replace(shard, entries=entries))
    return by_split


def _copied(job: CopyJob) -> tuple[str, Shard]:
    return job.shard, copy_shard(job)
