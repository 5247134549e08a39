"""A DICOM file open to be read: a damaged length in it never asks for more memory than the file is long."""

from __future__ import annotations

import io
import os

#: Reads up to here are let through: to look where the file stands costs more than they do.
_SMALL = 1 << 16


class DicomFile(io.BufferedReader):
    """A file that reads at most to its end; pydicom asks for as many bytes as an element says, up to 4 GB."""

    def __init__(self, path):
        super().__init__(io.FileIO(path))
        self._end = os.fstat(self.fileno()).st_size

    def read(self, size=-1):
        """As of any file, but that room is made only for what is there."""
        if size is not None and size > _SMALL:
            size = min(size, max(self._end - self.tell(), 0))
        return super().read(size)
