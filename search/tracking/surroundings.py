"""Where a run took place: the machine, the program, and the state of git in the working directory."""

import functools
import getpass
import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

_SECONDS = 10.0  # that git may take
_SOURCE = Path(__file__).resolve().parents[2]


@functools.lru_cache
def surroundings() -> dict[str, str]:
    """Return tags that tell where this process runs; read once."""
    import torch

    tags = {
        "machine.host": platform.node(),
        "machine.platform": platform.platform(),
        "machine.cpu": _processor(),
        "machine.cores": str(os.cpu_count()),
        "machine.gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "version.python": platform.python_version(),
        "version.torch": torch.__version__,
    }
    with suppress(importlib.metadata.PackageNotFoundError):
        tags["version.chironomy"] = importlib.metadata.version("chironomy")
    with suppress(OSError, KeyError, ImportError):  # nobody has to have a name
        tags["mlflow.user"] = getpass.getuser()
    with suppress(OSError):  # the working directory may be gone
        here = _git(Path.cwd())
        tags |= {f"git.{name}": value for name, value in here.items()}
        if "commit" in here:
            tags["mlflow.source.git.commit"] = here["commit"]
    source = _git(_SOURCE)
    if source.get("folder") == str(_SOURCE):  # else it is installed, in some project's environment perhaps
        tags |= {f"version.chironomy.{name}": source[name] for name in ("commit", "dirty") if name in source}
    return tags


def _git(folder: Path) -> dict[str, str]:
    """Return the checkout that a folder is in, its commit and whether something was changed; nothing without git."""
    state = {}
    with suppress(OSError, subprocess.SubprocessError):
        state["folder"] = _ask_git(folder, "rev-parse", "--show-toplevel")
        state["commit"] = _ask_git(folder, "rev-parse", "HEAD")
        state["dirty"] = str(bool(_ask_git(folder, "status", "--porcelain", "--untracked-files=no"))).lower()
    return state


def _ask_git(folder: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)
    return answer.stdout.decode(errors="replace").strip()


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
