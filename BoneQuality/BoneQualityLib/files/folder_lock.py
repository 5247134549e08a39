"""One writer at a time in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import BoneQualityError

#: What a lock fails with where another process has it; anything else means that the disk knows no locks.
_TAKEN = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}


@contextlib.contextmanager
def only_writer(folder: Path, lock: Path) -> Iterator[None]:
    """Hold the lock of a folder; raises BoneQualityError where another process holds it.

    The lock is on the open file ``lock``, not its being there, so a process that died holds none. On a disk that knows no locks,
    such as some of a cluster's, nothing is held.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(lock, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        sentence = "The folder {folder} cannot be written ({reason}); choose another folder or make room."
        raise BoneQualityError(sentence, folder=folder, reason=error.strerror) from None
    try:
        if not _is_locked(file):
            raise BoneQualityError(
                "Another batch is writing to {folder}; wait for its end, or choose another folder.", folder=folder
            )
        yield
    finally:
        os.close(file)


def _is_locked(file: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _TAKEN
    return True
