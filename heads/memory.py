"""How much memory may still be used."""

import re
from contextlib import suppress
from pathlib import Path

_OTHERWISE = 8 << 30  # bytes, where the system does not tell


def free_memory(root: Path = Path("/")) -> int:
    """Return the bytes of memory that can be had, files kept in it for speed counted as free.

    Parameters
    ----------
    root : Path
        Of the file system.
    """
    free = _OTHERWISE
    with suppress(OSError, AttributeError):
        found = re.search(r"MemAvailable:\s+(\d+) kB", (root / "proc/meminfo").read_text())
        free = int(found[1]) * 1024  # type: ignore[index]
    with suppress(OSError, ValueError):  # a container may have less than its machine
        limit, used = (int((root / f"sys/fs/cgroup/memory.{what}").read_text()) for what in ("max", "current"))
        free = min(free, limit - used)
    return max(free, 0)
