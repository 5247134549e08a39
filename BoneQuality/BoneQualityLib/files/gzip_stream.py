"""Compressed data read piece by piece: gzip of one or several members (RFC 1952) and zlib (RFC 1950), to their very last byte."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

CHUNK = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"
#: Window bits of zlib for gzip, and for what may be gzip or zlib.
GZIP, GZIP_OR_ZLIB = 31, 47


class CutShort(EOFError):
    """The compressed data end too early."""


class TrailingBytes(ValueError):
    """Bytes follow the compressed data that belong to nothing."""


def unpacked(file: BinaryIO, length: int, kind: int) -> Iterator[bytes]:
    """The unpacked pieces of the next ``length`` bytes of ``file``, at most CHUNK bytes each; every checksum is verified.

    kind: GZIP or GZIP_OR_ZLIB. Only gzip may have several members. Raises CutShort, TrailingBytes, or zlib.error for damage.
    """
    block, left = file.read(min(CHUNK, length)), length - min(CHUNK, length)
    is_gzip = block.startswith(GZIP_MAGIC)
    stream = zlib.decompressobj(kind)
    while True:
        if not block and left:
            block, left = file.read(min(CHUNK, left)), left - min(CHUNK, left)
        piece = stream.decompress(block, CHUNK)
        if piece:
            yield piece
        if not stream.eof:
            if not piece and not stream.unconsumed_tail and not left:
                raise CutShort
            block = stream.unconsumed_tail
            continue
        block = stream.unused_data
        if len(block) < len(GZIP_MAGIC):
            block, left = block + file.read(min(CHUNK, left)), left - min(CHUNK, left)
        if not block:
            return
        if not (is_gzip and block.startswith(GZIP_MAGIC)):
            raise TrailingBytes
        stream = zlib.decompressobj(kind)
