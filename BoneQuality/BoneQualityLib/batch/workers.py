"""Where many jobs run: one after the other here, in processes of this machine, or on a Dask cluster.

Every way takes a function and an iterable of jobs, and yields ``(job, result)`` as they come, in any order; the result is a
`WorkerDied` where the process that ran the job ended. Jobs are taken from the iterable as workers become free.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from .. import __version__
from ..errors import BoneQualityError

#: As many cases run at once as there are workers: more threads in each would only wait for one another.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",
     "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "VTK_SMP_MAX_THREADS"),
    "1",
)  # fmt: skip
#: Memory that a case frees is kept for the next one (glibc): to get the same pages from the system again, cleared, takes a tenth of
#: a case's time.
KEEP_MEMORY = dict(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 40))


class WorkerDied(Exception):
    """The process that ran a job ended: a crash, a kill, or no memory left."""


def cores() -> int:
    """Cores that this process may use, which are fewer than the machine's on a cluster or in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turn(function: Callable, jobs: Iterable) -> Iterator[tuple]:
    """One job after the other in this process."""
    for job in jobs:
        yield job, function(job)


def in_processes(function: Callable, jobs: Iterable, workers: int) -> Iterator[tuple]:
    """In processes of this machine that are used again; one that dies costs its job alone, and another takes its place.

    Each has a pool of its own: a pool of several loses all that runs when one of its processes dies, and cannot tell whose fault
    it was. Where the caller stops, the jobs that run are finished first.
    """
    jobs, running, pools = iter(jobs), {}, []

    def start(pool: ProcessPoolExecutor) -> None:
        for job in itertools.islice(jobs, 1):
            try:
                future = pool.submit(function, job)
            except BrokenProcessPool:  # it died while it had nothing to do
                pool = replaced(pool)
                future = pool.submit(function, job)
            running[future] = pool, job

    def replaced(pool: ProcessPoolExecutor) -> ProcessPoolExecutor:
        pools.remove(pool)
        pools.append(_process()[0])
        return pools[-1]

    try:
        begun = [_process() for _ in range(workers)]
        pools += [pool for pool, _ in begun]
        _check([ready for _, ready in begun])
        for pool in pools[:]:
            start(pool)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                pool, job = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    pool, result = replaced(pool), WorkerDied()
                start(pool)
                yield job, result
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)


def in_cluster(function: Callable, jobs: Iterable, address: str) -> Iterator[tuple]:
    """On the workers of a Dask scheduler, which see the same files; it starts a job of a worker that died on another one."""
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise BoneQualityError("A cluster needs dask.distributed; install it: pip install 'bonequality[batch]'.") from None
    with contextlib.ExitStack() as closing:
        try:
            client = closing.enter_context(Client(address, set_as_default=False))
            client.wait_for_workers(1, timeout=60)
        except (OSError, ValueError, TimeoutError) as error:
            raise BoneQualityError(f"No Dask scheduler with workers answers at {address} ({error}); check its address.") from None
        jobs, given, running = iter(jobs), {}, as_completed(loop=client.loop)

        def start(count: int) -> None:
            for job in itertools.islice(jobs, count):
                future = client.submit(_alone, function, job, pure=False)
                given[future.key] = job
                running.add(future)

        start(2 * sum(client.nthreads().values()))  # a second one each, so that no worker waits for the way here and back
        for future in running:
            job = given.pop(future.key)
            try:
                result = future.result()
            except KilledWorker:
                result = WorkerDied()
            except Exception as error:  # the function itself raises nothing: the cluster is at fault
                raise BoneQualityError(
                    f"The workers at {address} cannot go on ({type(error).__name__}: {error}); see that BoneQuality "
                    f"{__version__} is installed there and the scheduler runs, then go on with --resume."
                ) from None
            start(1)
            yield job, result


_one_at_a_time = threading.Lock()


def _alone(function: Callable, job):
    """A job on a worker that others started, which may run threads: the scene of a process is for one case at a time."""
    with _one_at_a_time:
        os.environ.update(ONE_THREAD)
        return function(job)


def _process() -> tuple[ProcessPoolExecutor, Future]:
    """A pool of one fresh process, and what is done when it is ready."""
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)
    with _environment(ONE_THREAD | KEEP_MEMORY):
        return pool, pool.submit(os.getpid)


def _begin() -> None:
    """What a process does first: stop with its parent, leave ctrl-C to it, and keep libraries' words from the terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _end_with_parent() -> None:
    """A parent that was killed can tell nobody; whoever goes on from there must be the only one to write."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _check(first: list[Future]) -> None:
    try:
        for future in first:
            future.result()
    except BrokenProcessPool:
        where = "" if getattr(sys.modules["__main__"], "__file__", None) is None else " (a script needs: if __name__ == '__main__')"
        raise BoneQualityError(
            f"Worker processes cannot be started from here{where}; use workers=0 to measure in this one."
        ) from None


@contextlib.contextmanager
def _environment(inherited: dict[str, str]) -> Iterator[None]:
    """What processes that are started meanwhile inherit."""
    before = {name: os.environ.get(name) for name in inherited}
    os.environ.update(inherited)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
