"""The memory that a training on this machine has."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

_MEBIBYTE: Final = 2**20
_QUERY: Final = ("--query-gpu=memory.total", "--format=csv,noheader,nounits")
_TIMEOUT_SECONDS: Final = 20


@dataclass(frozen=True)
class Machine:
    """What a batch has to fit into."""

    memory_bytes: int
    gpu_bytes: int | None
    """Of the smallest GPU; None without one."""

    @property
    def words(self) -> str:
        """The memory that counts, in words."""
        if self.gpu_bytes is None:
            return f"{self.memory_bytes / 10**9:.0f} GB of memory and no GPU"
        return f"a GPU with {self.gpu_bytes / 10**9:.0f} GB"


def this_machine() -> Machine:
    """Asks the system, and NVIDIA's own tool where there is one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(memory, _gpu_bytes())


def _gpu_bytes() -> int | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        answer = subprocess.run([tool, *_QUERY], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True)
        return min(int(line) for line in answer.stdout.split()) * _MEBIBYTE
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
