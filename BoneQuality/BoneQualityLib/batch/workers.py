"""Where many jobs run: one after the other here, in processes of this machine, or on a Dask cluster.

Every way takes a function and an iterable of jobs, and yields ``(job, result)`` as they come, in any order; the result is a
`WorkerDied` where the process that ran the job ended. Jobs are taken from the iterable as workers become free.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..errors import BoneQualityError, Sentence

#: As many cases run at once as there are workers: more threads in each would only wait for one another.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",
     "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "VTK_SMP_MAX_THREADS"),
    "1",
)  # fmt: skip
#: Memory that a case frees is kept for the next one (glibc): to get the same pages from the system again, cleared, takes a tenth of
#: a case's time.
KEEP_MEMORY = dict(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 40))


#: What a person is told of a case whose process ended, and of one that was ended by us.
DIED = "The process that measured it ended: a crash, a kill, or no memory left; measure it alone, or with fewer workers."
TOO_LONG = "It took longer than {minutes:g} minutes; see that the image shows the spine alone, or give every case more time."


class WorkerDied(Exception):
    """The process that ran a job ended: a crash, a kill, no memory left, or too much time; the text says so."""


class ClusterLost(BoneQualityError):
    """A cluster that had begun to work cannot go on."""


@dataclass(frozen=True)
class Limits:
    """What a case may take: seconds of time, and bytes of memory in its process (None: all that the machine has).

    Memory is limited where the system can do that (Linux).
    """

    seconds: float = 3600.0
    memory: int | None = None


def cores() -> int:
    """Cores that this process may use, which are fewer than the machine's on a cluster or in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turn(function: Callable, jobs: Iterable) -> Iterator[tuple]:
    """One job after the other in this process."""
    for job in jobs:
        yield job, function(job)


def in_processes(function: Callable, jobs: Iterable, workers: int, limits: Limits = Limits()) -> Iterator[tuple]:
    """In processes of this machine that are used again; one that dies costs its job alone, and another takes its place.

    Each has a pool of its own: a pool of several loses all that runs when one of its processes dies, and cannot tell whose fault
    it was. Where the caller stops, the jobs that run are finished first. A job that takes too long has its process ended.
    """
    jobs, running, pools = iter(jobs), {}, []

    def start(worker: _Worker) -> None:
        for job in itertools.islice(jobs, 1):
            try:
                future = worker.pool.submit(function, job)
            except BrokenProcessPool:  # it died while it had nothing to do
                worker = replaced(worker)
                future = worker.pool.submit(function, job)
            running[future] = _Running(worker, job, time.monotonic() + limits.seconds)

    def replaced(worker: _Worker) -> _Worker:
        pools.remove(worker)
        pools.append(_process(limits))
        return pools[-1]

    try:
        pools += [_process(limits) for _ in range(workers)]
        _check([worker.ready for worker in pools])
        for worker in pools[:]:
            start(worker)
        while running:
            for future in _finished(running):
                one = running.pop(future)
                worker = one.worker
                try:
                    result = future.result()
                except BrokenProcessPool:
                    died = Sentence(TOO_LONG, minutes=limits.seconds / 60) if one.is_ended else DIED
                    worker, result = replaced(worker), WorkerDied(died)
                start(worker)
                yield one.job, result
    finally:
        while running:
            for future in _finished(running):
                del running[future]
        for worker in pools:
            worker.pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Worker:
    """A pool of one process, and what gives the process's id when it is ready."""

    pool: ProcessPoolExecutor
    ready: Future


@dataclass
class _Running:
    worker: _Worker
    job: object
    deadline: float
    is_ended: bool = False


def _finished(running: dict[Future, _Running]) -> set[Future]:
    """Wait until a job is finished; the processes of those whose time is over are ended."""
    first = min((one.deadline for one in running.values() if not one.is_ended), default=None)
    done = wait(running, None if first is None else max(first - time.monotonic(), 0), return_when=FIRST_COMPLETED).done
    for future, one in running.items():
        if future not in done and not one.is_ended and one.deadline <= time.monotonic():
            one.is_ended = True
            with contextlib.suppress(OSError, BrokenProcessPool):
                os.kill(one.worker.ready.result(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return done


def in_cluster(function: Callable, jobs: Iterable, address: str, limits: Limits = Limits()) -> Iterator[tuple]:
    """On the workers of a Dask scheduler, which see the same files; it starts a job of a worker that died on another one.

    Raises BoneQualityError where none answers, ClusterLost where it went away or cannot do the work.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise BoneQualityError("A cluster needs dask.distributed; install it: pip install 'bonequality[batch]'.") from None
    with contextlib.ExitStack() as closing:
        closing.enter_context(_silent())
        try:
            client = Client(address, set_as_default=False)
            closing.callback(client.close, timeout=5)
            client.wait_for_workers(1, timeout=60)
        except (OSError, ValueError, TimeoutError) as error:
            raise BoneQualityError(
                "No Dask scheduler with workers answers at {address} ({error}); check its address.", address=address, error=error
            ) from None
        jobs, given, running = iter(jobs), {}, as_completed(loop=client.loop)

        def start(count: int) -> None:
            for job in itertools.islice(jobs, count):
                future = client.submit(_alone, function, job, limits.seconds, pure=False)
                given[future.key] = job
                running.add(future)

        try:
            start(2 * sum(client.nthreads().values()))  # a second one each, so that no worker waits for the way here and back
            for future in running:
                job = given.pop(future.key)
                try:
                    result = future.result()
                except KilledWorker:
                    result = WorkerDied(DIED)
                start(1)
                yield job, result
        except Exception as error:  # the function itself raises nothing: the cluster is at fault
            sentence = "The cluster cannot go on ({fault}); see that its scheduler runs and BoneQuality {version} is "
            sentence += "installed on its workers, then run the batch again and keep what is done."
            raise ClusterLost(sentence, fault=type(error).__name__, version=__version__) from None


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what distributed, tornado and asyncio log of a lost connection from the terminal: we say it in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


_one_at_a_time = threading.Lock()


def _alone(function: Callable, job, seconds: float):
    """A job on a worker that others started, which may run threads: the scene of a process is for one case at a time."""
    with _one_at_a_time:
        os.environ.update(ONE_THREAD)
        over = threading.Timer(seconds, os._exit, (1,))  # Dask gives up a job that ends its worker several times
        over.daemon = True
        over.start()
        try:
            return function(job)
        finally:
            over.cancel()


def _process(limits: Limits) -> _Worker:
    """A pool of one fresh process."""
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (limits.memory or _memory_of_machine(),))
    with _environment(ONE_THREAD | KEEP_MEMORY):
        return _Worker(pool, pool.submit(os.getpid))


def _memory_of_machine() -> int | None:
    """Bytes of memory that this machine, or the container it is in, has; None where the system does not say."""
    try:
        installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        allowed = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no container, or "max"
        return installed
    return min(installed, allowed)


def _begin(memory: int | None) -> None:
    """What a process does first: stop with its parent, leave ctrl-C to it, and keep libraries' words from the terminal.

    memory: bytes that it may take, so that a case too large is a failure of its own and not the end of all that run.
    """
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    if memory and sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
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
            "Worker processes cannot be started from here{where}; use workers=0 to measure in this one.", where=Sentence(where)
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
