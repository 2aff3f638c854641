"""What a runner's own words mean, where they do not say what to do.

They come to petseg as text: Beam raises what the job server said last as `Pipeline NAME failed in state FAILED: …`. The
words are those of Flink 1.19.3 and Beam 2.77.
"""

import re
from typing import Final

_OF_JOB: Final = re.compile(r"Pipeline \S+ failed in state \w+: (?P<words>.*)", re.DOTALL)
_GUIDE: Final = 'docs/beam_runners.md, "Flink\'s memory"'
_LONGEST: Final = 400

_ADVICE: Final = (
    (
        re.compile(r"Insufficient number of network buffers[^\n]*"),
        "Set taskmanager.network.sort-shuffle.min-buffers: 16 in Flink's configuration, whose default of 512 is for "
        f"each task, and where that is not enough raise taskmanager.memory.network.max and min ({_GUIDE})",
    ),
    (
        re.compile(r"[^\n]*\bcall (?:is|already|was) (?:closed|half-closed|cancelled)[^\n]*", re.IGNORECASE),
        "A task manager lost its connection to Beam's workers, as where it has too little memory: raise "
        f"taskmanager.memory.task.off-heap.size to 1g and taskmanager.memory.process.size to 8g ({_GUIDE})",
    ),
    (
        re.compile(r"[^\n]*OutOfMemoryError: [Dd]irect buffer memory[^\n]*"),
        f"Raise taskmanager.memory.task.off-heap.size in Flink's configuration; 1g is enough for the pets ({_GUIDE})",
    ),
    (
        re.compile(r"[^\n]*OutOfMemoryError: (?:Java heap space|GC overhead)[^\n]*"),
        f"Raise taskmanager.memory.process.size in Flink's configuration; 8g is enough for the pets ({_GUIDE})",
    ),
    (
        re.compile(r"[^\n]*Too little memory provided to sorter[^\n]*"),
        "Raise taskmanager.memory.managed.size, or taskmanager.memory.process.size, in Flink's configuration; 8g for "
        f"the process is enough for the pets ({_GUIDE})",
    ),
    (
        re.compile(r"[^\n]*Failed to deserialize JobGraph[^\n]*"),
        "The job server is made for another release of Flink than the one that runs: --flink_job_server_jar has to be "
        "that of --flink_version",
    ),
    (
        re.compile(r"[^\n]*NoResourceAvailableException[^\n]*"),
        "Flink has too few slots: start more task managers, raise taskmanager.numberOfTaskSlots, or lower "
        "--parallelism",
    ),
    (
        re.compile(r"[^\n]*ConnectException:[^\n]*Connection refused[^\n]*"),
        "Flink, or a pool of workers, does not listen any more: look whether they still run",
    ),
    (
        re.compile(r"[^\n]*error=2, No such file or directory[^\n]*"),
        "The command that --environment_type=PROCESS names is not on the machine of a task manager",
    ),
    (
        re.compile(r"[^\n]*Process died with exit code[^\n]*"),
        "The command that --environment_type=PROCESS names ended at once: run it on the machine of a task manager",
    ),
    (
        re.compile(r"[^\n]*Received exit code \d+ for command 'docker[^\n]*"),
        "The container of Beam's workers did not start: --environment_config has to name an image with petseg that the "
        "machines of the task managers have or can pull",
    ),
    (
        re.compile(r"ModuleNotFoundError: No module named [^\n]*"),
        "Beam's workers do not have petseg's environment: the `python` that their pool finds first on its PATH has to "
        "be that of petseg's environment, of the same release as here",
    ),
)
"""What to do about what a job server says."""


def explain_job(text: str) -> str | None:
    """Returns what went wrong with a job and what to do; None where the text is of none, or what nobody foresaw.

    >>> explain_job("Pipeline a_b failed in state FAILED: NoResourceAvailableException: no slot").partition(":")[0]
    "Beam's job failed"
    """
    job = _OF_JOB.search(text)
    for pattern, advice in _ADVICE if job else ():
        if job and (found := pattern.search(job["words"])):
            return f"Beam's job failed: {found[0].strip()[:_LONGEST].rstrip('.')}. {advice}"
    return None
