"""What takes longer runs in a process of its own, says how far it is, and can be stopped."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from store.errors import InputError

Tell = Callable[[str, float | None], None]  # what is being done, and the share that is done if it is known


class Work:
    """A function that runs in the background.

    Parameters
    ----------
    title : str
        What it is, for the reader.
    function : callable
        Called in a process of its own with `arguments`, and a function to tell how far it is.
    then : callable, optional
        Called here with what it returned.
    """

    def __init__(
        self, title: str, function: Callable[..., Any], *arguments: Any, then: Callable[[Any], None] | None = None
    ):
        self.title, self.state, self.text = title, "running", ""
        self.share: float | None = None
        self._then = then
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(sender, function, arguments), daemon=True)
        self._process.start()
        sender.close()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def to_json(self) -> dict[str, Any]:
        """Return how far it is."""
        return {"title": self.title, "state": self.state, "text": self.text, "share": self.share}

    def stop(self) -> None:
        """Stop it; what it wrote half is its own to clean up when it runs again."""
        if self.state == "running":
            self.state = "stopped"
            self._process.terminate()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _follow(self) -> None:
        try:
            while True:
                kind, *content = self._receiver.recv()
                if kind == "told":
                    self.text, self.share = content
                    continue
                if kind == "done" and self._then is not None:
                    self._then(content[0])
                self.text = content[0] if kind == "failed" else ""
                if self.state == "running":
                    self.state = kind
                return
        except EOFError:
            if self.state == "running":
                self.state, self.text = "failed", "it was ended from outside, perhaps for want of memory"
        except InputError as error:
            self.state, self.text = "failed", str(error)
        finally:
            self._process.join()


def _run(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run in the process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this one
    if hasattr(os, "nice"):
        os.nice(5)  # the page stays quick
    try:
        sender.send(("done", function(*arguments, lambda text, share: sender.send(("told", text, share)))))
    except InputError as error:
        sender.send(("failed", str(error)))
    except BrokenPipeError:
        pass  # nobody listens any more
    except Exception as error:  # a mistake of ours: the page says so, the terminal has the details
        traceback.print_exc()
        sender.send(("failed", f"{type(error).__name__}: {error}"))
