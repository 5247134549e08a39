"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError, Sentence

#: A file that is being written, or was when its process was killed: no name that anybody could guess or use.
_PART = re.compile(r"\..+\.[0-9a-f]{16}\.part")
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def json_text(content: dict) -> str:
    """Content as JSON text: numbers to six decimals, not measured as null."""
    return json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value):
    """Content as what JSON knows: numbers to six decimals, what is not finite as None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    value = float(value)
    return (round(value, 6) + 0.0) if math.isfinite(value) else None


def write_whole(contents: dict[Path, str | bytes | Iterable[str]], overwrite: bool) -> None:
    """Write files of text (UTF-8) or bytes, the last one last and none in part: each goes to a new temporary file that is then renamed.

    A long text may come in pieces, of which only one is held in memory at a time. What others put there is never written through
    (links), and without ``overwrite`` never replaced, not even what appears in the meantime.
    Raises BoneQualityError where a file is there already and is not to be replaced, or the folder cannot be written.
    """
    paths = list(contents)
    for path in paths if not overwrite else ():
        if os.path.lexists(path):
            raise _there_already(path)
    parts = {path: path.with_name(f".{path.name}.{secrets.token_hex(8)}.part") for path in paths}
    written: list[Path] = []
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            pieces = [content] if isinstance(content, (str, bytes)) else content
            with os.fdopen(os.open(parts[path], _NEW, 0o666), "wb") as file:
                file.writelines(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
                file.flush()
                os.fsync(file.fileno())
        if overwrite:
            paths[-1].unlink(missing_ok=True)
        for path in paths:
            (os.replace if overwrite else _rename_to_free)(parts[path], path)
            written.append(path)
    except FileExistsError as error:
        _remove(written)
        raise _there_already(Path(error.filename2 or error.filename)) from None
    except OSError as error:
        _remove([] if overwrite else written)
        sentence = "The folder {parent} cannot be written ({reason}); choose another folder or make room."
        raise BoneQualityError(sentence, parent=paths[0].parent, reason=error.strerror) from None
    finally:
        _remove(parts.values())


def check_free(paths: list[Path], overwrite: bool) -> None:
    """Raise BoneQualityError for the first file that is there already, unless it may be replaced.

    One whose name differs by letter case alone is the same file on many a disk, so it counts as there and is never replaced.
    """
    names = {folder: _names(folder) for folder in {path.parent for path in paths}}
    for path in paths:
        there = names[path.parent].get(path.name.casefold(), set())
        if there - {path.name} or (there and not overwrite):
            raise _there_already(path.parent / sorted(there - {path.name} or there)[0])


def remove_left_over_parts(folder: Path) -> None:
    """Remove what processes that were killed left half-written in a folder and below; nobody else may be writing there."""
    _remove([path for path in folder.rglob(".*.part") if _PART.fullmatch(path.name)])


def _names(folder: Path) -> dict[str, set[str]]:
    """The names in a folder by what they are without letter case."""
    found: dict[str, set[str]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            found.setdefault(name.casefold(), set()).add(name)
    return found


def _rename_to_free(part: Path, path: Path) -> None:
    """Rename a file; raises FileExistsError where something has the name by now."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, such as FAT
        os.replace(part, path)


def _there_already(path: Path) -> BoneQualityError:
    sentence = Sentence("{path} is there already; choose another folder or case id, or allow overwriting.", path=path)
    return BoneQualityError(sentence, remedies=("overwrite",))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
