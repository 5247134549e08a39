"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError


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
    """Write files of text (UTF-8) or bytes, the last one last and none in part: each goes to a temporary file that is then renamed.

    A long text may come in pieces, of which only one is held in memory at a time.
    Raises BoneQualityError where a file is there already and is not to be replaced, or the folder cannot be written.
    """
    paths = list(contents)
    check_free(paths, overwrite)
    parts = {path: path.with_name(f".{path.name}.part") for path in paths}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            pieces = [content] if isinstance(content, (str, bytes)) else content
            with open(parts[path], "wb") as file:
                file.writelines(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
                file.flush()
                os.fsync(file.fileno())
        paths[-1].unlink(missing_ok=True)
        for path in paths:
            os.replace(parts[path], path)
    except OSError as error:
        raise BoneQualityError(
            f"The folder {paths[0].parent} cannot be written ({error.strerror}); choose another folder or make room."
        ) from None
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def check_free(paths: list[Path], overwrite: bool) -> None:
    """Raise BoneQualityError for the first file that is there already, unless it may be replaced."""
    for path in paths:
        if path.exists() and not overwrite:
            raise BoneQualityError(
                f"{path} is there already; choose another folder or case id, or allow overwriting (--overwrite)."
            )
