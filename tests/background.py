"""What the tests of work in the background let run there: a module that takes no time to import."""

import time

from store.errors import InputError


def count(up_to: int, tell) -> int:
    tell("counting", 0.5)
    return sum(range(up_to))


def refuse(_tell) -> None:
    raise InputError("a.mp4: cannot be used; name another")


def wait(_tell) -> None:
    time.sleep(600)
