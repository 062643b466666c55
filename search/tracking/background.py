"""A thread that writes what is recorded, so that the work neither waits for it nor fails with it."""

import queue
import sys
import threading
import time
from collections.abc import Callable

Step = Callable[[], None]

PATIENCE = 60.0  # seconds that one step may take before the work goes on without it
_QUICK = 5.0  # seconds; where a step fails sooner, the next ones are tried all the same


class Background:
    """Steps, done one after another in a thread of their own.

    What they raise is kept for `close` to tell. The thread does not keep the process alive.
    """

    def __init__(self) -> None:
        self._steps: queue.SimpleQueue[tuple[Step, float] | None] = queue.SimpleQueue()
        self._deadline = float("inf")
        self._given_up = False
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="chironomy-tracking", daemon=True)
        self._thread.start()

    def do(self, step: Step, patience: float = PATIENCE, essential: bool = False) -> None:
        """Do a step when those before it are done; without an essential one there is no use in those after it."""

        def tried() -> None:
            began = time.monotonic()
            try:
                if not self._given_up:
                    step()
            except BaseException as error:  # whatever it is, it is not the work's
                self._trouble = self._trouble or error
                self._given_up = essential or time.monotonic() - began > _QUICK

        self._steps.put((tried, patience))

    def wait_for(self, event: threading.Event) -> bool:
        """Wait for what a step does; return whether it was done in time."""
        last = time.monotonic() + PATIENCE
        while not (done := event.wait(0.05)) and not self._given_up and time.monotonic() < last:
            pass
        return done

    def close(self) -> None:
        """Wait for the rest, but for nothing that hangs, and tell in one line what has gone wrong."""
        self._steps.put(None)
        while self._thread.is_alive():
            self._thread.join(0.05)
            if time.monotonic() > self._deadline:
                self._given_up = True
                self._trouble = self._trouble or TimeoutError("no answer")
                break
        if self._trouble is not None:
            lines = str(self._trouble).strip().splitlines() or [type(self._trouble).__name__]
            print(  # noqa: T201 - nothing fails because tracking does
                f"chironomy: warning: the run is not recorded, or not all of it ({lines[0]:.200}); all else is done. "
                "See docs/tracking.md; CHIRONOMY_TRACKING=off records nothing",
                file=sys.stderr,
            )

    def _run(self) -> None:
        while (taken := self._steps.get()) is not None:
            tried, patience = taken
            self._deadline = time.monotonic() + patience
            tried()
            self._deadline = float("inf")
