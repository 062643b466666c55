"""Computations on one thread: on small matrices several wait for each other longer than they compute."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


def blas_on_one_thread() -> AbstractContextManager:
    """Let the libraries under numpy and scipy compute on one thread.

    The last digits of a matrix product depend on how many threads share it; so they are the same on every machine.
    """
    return _numeric_libraries().limit(limits=1, user_api="blas")


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread; for all of the process, so nothing large should go on beside."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _numeric_libraries() -> ThreadpoolController:
    """Return the hold on the libraries under numpy and scipy; finding them takes longer than using it."""
    import scipy.linalg  # noqa: F401  else its library is not loaded yet, and not found

    return ThreadpoolController()
