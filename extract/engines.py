"""Many videos: one after the other here, in several processes, or on a Ray cluster.

The one seam is `map_videos`. A task is one video; it may be done twice without harm, since a recording that
is there is recognised, and one that was begun is gone on with. So a task whose worker died is given again.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from typing import Any, TypeVar

from store.errors import InputError
from store.progress import silence

Job = TypeVar("Job")
Result = TypeVar("Result")
ATTEMPTS = 3  # times a task is given out, if its worker dies


def map_videos(
    task: Callable[[Job], Result], jobs: Sequence[Job], engine: str = "local", workers: int = 1, gpu: bool = False
) -> Iterator[tuple[Job, Result | None]]:
    """Do a task for each job, and yield the results as they come.

    Parameters
    ----------
    task : callable
        Of a module, so that other processes find it. It raises nothing.
    jobs : sequence
        What it is called with.
    engine : {"local", "ray"}
        ``local``: this machine. ``ray``: the cluster that ``RAY_ADDRESS`` names, else this machine through Ray.
    workers : int
        Processes on this machine, or tasks at a time on a cluster. One and local: in this process.
    gpu : bool
        Whether each task on a cluster asks for a GPU of its own.

    Yields
    ------
    job, result
        The result is None where the worker died three times.

    Raises
    ------
    InputError
        If the engine is not installed or its cluster cannot be reached.
    """
    if engine == "ray":
        yield from _on_ray(task, jobs, workers, gpu)
    elif workers == 1:
        for job in jobs:
            yield job, task(job)
    else:
        yield from _in_processes(task, jobs, workers)


def _in_processes(
    task: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Result | None]]:
    """Yield the results of local processes; a pool that a dying worker has broken is replaced."""
    given = dict.fromkeys(range(len(jobs)), 0)  # job -> how often it was given out; finished ones are taken out
    while given:
        # Those that were at work when a pool broke go one at a time, so that none is blamed for another.
        suspects = [number for number, times in given.items() if times]
        at_once = 1 if suspects else workers
        context = get_context("spawn")  # a fork would copy torch's and zarr's threads half-way
        with ProcessPoolExecutor(at_once, context, initializer=set_up_worker, initargs=(at_once,)) as pool:
            waiting: dict[Future[Result], int] = {}
            todo = iter(suspects or list(given))
            try:
                while True:
                    # Not more are given out than run, so that a broken pool tells which may have broken it.
                    while len(waiting) < at_once and (number := next(todo, None)) is not None:
                        given[number] += 1
                        waiting[pool.submit(task, jobs[number])] = number
                    if not waiting:
                        break
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        result = future.result()
                        number = waiting.pop(future)
                        del given[number]
                        yield jobs[number], result
            except BrokenProcessPool:
                for number in [number for number, times in given.items() if times >= ATTEMPTS]:
                    del given[number]
                    yield jobs[number], None
            except BaseException:
                for child in active_children():
                    child.terminate()  # what it has done is kept, as after any kill
                raise


def set_up_worker(workers: int) -> None:
    """Set up a worker's process: no bars on top of each other, its share of the cores, and an end with its parent's.

    Parameters
    ----------
    workers : int
        How many there are on this machine.
    """
    silence()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent deals with it
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    import torch
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # torch.fx has bars; its lock between processes would outlive a killed worker
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def _leave_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _on_ray(
    task: Callable[[Job], Result], jobs: Sequence[Job], workers: int, gpu: bool
) -> Iterator[tuple[Job, Result | None]]:
    try:
        import ray
    except ImportError:
        raise InputError("--engine ray: Ray is not installed; install it with: pip install 'chironomy[ray]'") from None
    from ray.exceptions import RayError, RayTaskError

    try:
        if not ray.is_initialized():
            ray.init(logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--engine ray: no cluster ({reason}); start one, or leave out RAY_ADDRESS") from error
    remote: Any = ray.remote(max_retries=ATTEMPTS - 1, num_cpus=_cores(ray, workers), num_gpus=int(gpu))(_quietly)
    todo = iter(jobs)
    running: dict[Any, Job] = {}
    try:
        while True:
            while len(running) < workers and (job := next(todo, None)) is not None:
                running[remote.remote(task, job)] = job
            if not running:
                return
            (done, *_), _ = ray.wait(list(running))
            job = running.pop(done)
            try:
                yield job, ray.get(done)
            except RayTaskError as error:  # the task raises nothing: it could not even begin
                raise InputError(
                    f"--engine ray: a worker cannot do the work ({str(error).splitlines()[-1]}); install the same "
                    "version of chironomy on every machine"
                ) from error
            except RayError:
                yield job, None
    finally:
        for pending in running:
            ray.cancel(pending)


def _cores(ray: Any, workers: int) -> int:
    """Return how many cores each task asks for: its share of the cluster, but not more than the smallest node has."""
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    having = [cores for cores in nodes if cores]
    return max(1, min(sum(having) // workers, *having)) if having else 1


def _quietly(task: Callable[[Job], Result], job: Job) -> Result:
    silence()
    return task(job)
