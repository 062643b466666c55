"""Progress bars: on a terminal a bar with speed and time left, elsewhere silence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Advance(Protocol):
    """Tells a progress bar that more is done."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Add `steps` done; `note` is shown behind the bar."""


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        if not task.speed or not task.fields["unit"]:
            return Text("")
        return Text(f"{task.speed:.1f} {task.fields['unit']}/s")


# Told what is being done, and how much of it: description, steps done, steps in all or None.
Listener = Callable[[str, int, int | None], None]

_silent = False
_listener: Listener | None = None
_shown = 0  # bars of this process: one within another would be drawn over it


def silence() -> None:
    """Show no bars in this process from now on: another one shows how far all of them are."""
    global _silent
    _silent = True


def listen(listener: Listener) -> None:
    """Tell somebody of the progress in this process from now on, and show no bars."""
    global _silent, _listener
    _silent, _listener = True, listener


@contextmanager
def progress(description: str, total: int | None, unit: str = "") -> Iterator[Advance]:
    """Show a progress bar on standard error while the block runs; none within another.

    Parameters
    ----------
    description : str
        What is being done, in front of the bar.
    total : int or None
        Number of steps, None if not known.
    unit : str
        Name of a step, for the speed ("clips"); no speed is shown without.

    Yields
    ------
    Advance
        To be called after each step.
    """
    global _shown
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    hidden = _silent or _shown > 0 or not console.is_terminal
    listener = _listener if _shown == 0 else None
    done = 0
    _shown += 1
    try:
        with Progress(*columns, console=console, disable=hidden) as bar:
            task = bar.add_task(description, total=total, unit=unit, note="")

            def advance(steps: int = 1, note: str = "") -> None:
                nonlocal done
                done += steps
                bar.update(task, advance=steps, note=note)
                if listener is not None:
                    listener(description, done, total)

            yield advance
    finally:
        _shown -= 1
