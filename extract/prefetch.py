"""Doing the next thing while the last is being used: one thread ahead, a bounded distance."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_POLL = 0.1  # seconds after which a waiting producer looks whether anybody still listens


def prefetch(items: Iterable[T], depth: int) -> Iterator[T]:
    """Yield the items of an iterable that runs in a thread of its own, at most `depth` of them ahead.

    An error in the thread is raised here, in its place. When the consumer stops early, by an error or by
    Ctrl-C, the thread ends too.
    """
    ready: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(entry: tuple[T] | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return ready.put(entry, timeout=_POLL)
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                put((item,))
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # whatever it is, it belongs to the consumer
            put(error)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while (entry := ready.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopped.set()
        thread.join()
