"""One thread ahead: same items, same order, same errors, and nothing left running."""

import threading
import time

import pytest

from extract.prefetch import prefetch


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_order():
    assert list(prefetch(iter(range(1000)), 3)) == list(range(1000))


def test_nothing_and_none():
    assert list(prefetch([], 2)) == []
    assert list(prefetch([None, False, None], 2)) == [None, False, None]  # None is an item as any other


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_errors_arrive_in_their_place(error):
    def items():
        yield 1
        yield 2
        raise error

    ahead = prefetch(items(), 2)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(type(error)) as caught:
        next(ahead)
    assert caught.value is error


def test_stopping_early_ends_the_thread():
    before = names()
    made = []

    def endless():
        number = 0
        while True:
            made.append(number)
            yield number
            number += 1

    ahead = prefetch(endless(), 2)
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.close()
    assert names() == before
    count = len(made)
    time.sleep(0.25)
    assert len(made) == count


def test_an_error_of_the_consumer_ends_the_thread():
    before = names()

    def consume():
        for item in prefetch(iter(range(100)), 1):
            if item == 5:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        consume()
    assert names() == before


def test_the_distance_is_bounded():
    made = 0

    def items():
        nonlocal made
        for number in range(50):
            made += 1
            yield number

    for number in prefetch(items(), 3):
        if number % 10 == 0:
            time.sleep(0.02)  # long enough to run ahead as far as it may
        assert made <= number + 1 + 3 + 1  # the one in use, three waiting, one that waits for a place


def test_nothing_runs_until_it_is_needed():
    started = []
    ahead = prefetch((started.append(1) for _ in range(1)), 1)
    time.sleep(0.05)
    assert not started
    assert list(ahead) == [None]
