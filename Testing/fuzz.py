"""Damaged files of every format and role, each measured in a process of its own: what is refused, what is read, what goes wrong.

    python Testing/fuzz.py [--files 10000] [--seed 1] [--only ct-dicom] [--keep FOLDER]

Small whole files are changed in one or two places (bytes, numbers of headers, lengths, order) and given to ``bonequality measure``
in a forked process, which is cheap as everything is imported before. Counted are tracebacks, signals, runs over 20 s or 2 GB, other
statuses than 0 and 2, refusals of more or less than one line, and wrong numbers without a flag. The latter apart for what no reader
can tell: changed voxels in data without a checksum, and a header's number, name or tag that may well be meant so. Exits with 1 where
anything else is not 0. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import hashlib
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "BoneQuality"), str(ROOT / "Testing")]

import numpy as np  # noqa: E402

from BoneQualityLib.anatomy.structure import Segment  # noqa: E402
from BoneQualityLib.image.grid import Grid  # noqa: E402
from fuzz_corpus import Subject, make_corpus  # noqa: E402

#: Of the processor, so that a busy machine is no fault of ours; one that waits for ever is ended by the clock.
LIMIT_SECONDS, LIMIT_CLOCK_SECONDS, LIMIT_BYTES = 20, 240, 2 << 30
#: What the forked process returns where it read exactly what the whole file holds, so that there is nothing to measure.
UNCHANGED = 77
NUMBERS = ("hu_3d", "hu_multislice", "hu_middle", "vbq", "csf_signal", "rcsa", "fat_infiltration_percent")
#: A number is wrong beyond this share of itself.
TOLERANCE = 2e-3
NASTY = (
    "nan", "inf", "-inf", "-1", "0", "1", "2", "3", "1e308", "1e-308", "2147483647", "-2147483648", "4294967295", "99999999999999999999",
    "abc", "", "1.5", "0x10", "1,5", "1e", "--1", "16", "100", "1000",
)  # fmt: skip
#: Kinds of changes after which another number may well be meant: nothing in the file speaks against it.
VOXELS, HEADER = "voxels", "header"


@dataclass
class Change:
    """What was done to a file; ``kind`` is VOXELS or HEADER where the change may pass for meant, else "structure"."""

    kind: str
    words: str


@dataclass
class Counts:
    outcomes: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)
    by_subject: Counter = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add_fault(self, name: str, said: str) -> None:
        self.faults[name] += 1
        self.examples.append(f"{name}: {said}")


# Changes


def change_bytes(content: bytearray, rng: random.Random, low: int = 0, high: int | None = None) -> str:
    """One change of some bytes from ``low`` to ``high`` in place; says which."""
    high = len(content) if high is None else min(high, len(content))
    at = rng.randrange(low, max(high, low + 1))
    way = rng.randrange(8)
    if way == 0:
        content[at : at + 1] = bytes([content[at] ^ (1 << rng.randrange(8))]) if at < len(content) else b"\0"
    elif way == 1:
        content[at : at + 1] = bytes([rng.randrange(256)])
    elif way == 2:
        size = rng.choice((2, 4, 8))
        content[at : at + size] = rng.choice((b"\xff", b"\0", b"\x7f", b"\x80")) * size
    elif way == 3:
        del content[at : at + rng.choice((1, 2, 4, 16, 256))]
    elif way == 4:
        content[at:at] = rng.randbytes(rng.choice((1, 2, 4, 16, 256)))
    elif way == 5:
        del content[at:]
    elif way == 6:
        content += rng.choice((b"\0", rng.randbytes(rng.choice((1, 8, 1000))), bytes(content[: rng.randrange(1, 5000)])))
    else:
        size = rng.choice((4, 16, 64))
        other = rng.randrange(low, max(high - size, low + 1))
        content[at : at + size] = content[other : other + size]
    return f"bytes way {way} at {at}"


def kind_of_bytes(before: bytes, after: bytes, start: int, is_protected: bool) -> str:
    """Whether bytes before ``start`` (the header) or behind it were changed, the length being the same."""
    if len(before) != len(after):
        return "structure"
    first = next((n for n, (a, b) in enumerate(zip(before, after)) if a != b), 0)
    if first < start:
        return HEADER
    return "structure" if is_protected else VOXELS


def change_text_header(content: bytes, rng: random.Random, start: int) -> tuple[bytes, str]:
    """A header of lines with a number, a line or a word changed."""
    lines = content[:start].split(b"\n")
    n = rng.randrange(1, max(len(lines) - 2, 2))
    way = rng.randrange(6)
    if way <= 2:
        numbers = list(re.finditer(rb"[-+]?\d+\.?\d*(e[-+]?\d+)?", lines[n]))
        if numbers:
            match = rng.choice(numbers)
            lines[n] = lines[n][: match.start()] + rng.choice(NASTY).encode() + lines[n][match.end() :]
    elif way == 3:
        lines.insert(n, lines[rng.randrange(len(lines))])
    elif way == 4:
        del lines[n]
    else:
        name, mark, _ = lines[n].partition(b":" if b":" in lines[n] else b"=")
        lines[n] = name + mark + b" " + rng.choice((*NASTY, "raw", "gzip", "float", "uint8", "MET_FLOAT", "True", "none")).encode()
    return b"\n".join(lines) + content[start:], f"line {n} way {way}: {lines[min(n, len(lines) - 1)][:60]!r}"


NIFTI_FIELDS = [
    ("i", 0), *(("h", 40 + 2 * n) for n in range(8)), ("h", 68), ("h", 70), ("h", 72), *(("f", 76 + 4 * n) for n in range(8)), ("f", 108),
    ("f", 112), ("f", 116), ("b", 122), ("b", 123), ("f", 124), ("f", 128), ("h", 252), ("h", 254), *(("f", 256 + 4 * n) for n in range(6)),
    *(("f", 280 + 4 * n) for n in range(12)), ("b", 344), ("b", 345), ("b", 348),
]  # fmt: skip
NASTY_NUMBERS = dict(
    f=(float("nan"), float("inf"), -1.0, 0.0, 1e30, -1e30, 1e-30, 0.5, 2.0, 351.0, 353.5, 1000.0),
    h=(-1, 0, 1, 2, 3, 7, 8, 16, 32767, -32768, 64, 128, 4, 512, 768, 1024),
    i=(0, -1, 347, 349, 540, 2**31 - 1), b=(0, 1, 2, 3, 4, 8, 16, 127, -128),
)  # fmt: skip


def change_nifti_header(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    kind, at = rng.choice(NIFTI_FIELDS)
    value = rng.choice(NASTY_NUMBERS[kind])
    changed = bytearray(content)
    struct.pack_into(f"<{kind}", changed, at, value)
    return bytes(changed), f"NIfTI field at {at} = {value}"


def change_file(subject: Subject, path: Path, rng: random.Random) -> Change:
    """Change a single file of a format with a text header, or NIfTI."""
    content, name = path.read_bytes(), path.name
    is_gz = name.endswith(".gz")
    if is_gz and rng.random() < 0.6:  # within the data, with a checksum that fits
        content = gzip.decompress(content)
        start, before = 352, content
        if rng.random() < 0.6:
            content, words = change_nifti_header(content, rng)
        else:
            changed = bytearray(content)
            words = change_bytes(changed, rng, 0, 352 if rng.random() < 0.5 else None)
            content = bytes(changed)
        kind = kind_of_bytes(before, content, start, False)
        half = len(content) // 2 if rng.random() < 0.3 else len(content)
        packed = gzip.compress(content[:half], 1) + (gzip.compress(content[half:], 1) if half < len(content) else b"")
        path.write_bytes(packed)
        return Change(kind, f"unpacked: {words}")
    start = subject.header_bytes(content)
    before, is_packed = content, is_gz or subject.is_packed
    if start and rng.random() < 0.6:
        if name.endswith(".nii"):
            content, words = change_nifti_header(content, rng)
        else:
            content, words = change_text_header(content, rng, start)
            path.write_bytes(content)
            return Change(HEADER, words)
    else:
        changed = bytearray(content)
        words = change_bytes(changed, rng, 0, start if start and rng.random() < 0.5 else None)
        content = bytes(changed)
    path.write_bytes(content)
    return Change(kind_of_bytes(before, content, start, is_packed), words)


DICOM_VALUES = (b"nan ", b"inf ", b"-1", b"0 ", b"", b"abc ", b"1e308 ", b"99999999999 ", b"1\\2 ", b"1\\0\\0\\0\\1\\0 ", b"SEG ", b"MR", b"1.2.3.4 ")


def change_dicom(folder: Path, rng: random.Random) -> Change:
    """Change some files of a folder: elements, bytes, or which files are there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    way = rng.randrange(10)
    chosen = paths if rng.random() < 0.3 else [rng.choice(paths)]
    if way == 0:
        path = rng.choice(paths)
        path.unlink() if rng.random() < 0.5 else shutil.copy(path, path.with_name("copy.dcm"))
        return Change("structure", f"{path.name} removed or doubled")
    if way <= 5:
        return _change_elements(chosen, rng)
    seed, kinds, words = rng.randrange(1 << 30), set(), ""
    for path in chosen:
        before = path.read_bytes()
        content = bytearray(before)
        start = before.rfind(b"\xe0\x7f\x10\x00")
        own = random.Random(seed)
        words = change_bytes(content, own, 0, start + 12 if own.random() < 0.6 else None)
        path.write_bytes(content)
        kinds.add(kind_of_bytes(before, bytes(content), start + 12, False))
    return Change("structure" if "structure" in kinds else HEADER if HEADER in kinds else VOXELS, f"{len(chosen)} files, {words}")


def _change_elements(paths: list[Path], rng: random.Random) -> Change:
    """One element of each file has another value, type or length, at the level of bytes (explicit little endian)."""
    elements = _elements(paths[0].read_bytes())
    if not elements:
        return Change("structure", "nothing to change")
    tag, at, head, length = rng.choice(elements)
    value, way = rng.choice(DICOM_VALUES), rng.randrange(5)
    words = ""
    for path in paths:
        content = path.read_bytes()
        same = [e for e in _elements(content) if e[0] == tag]
        if not same:
            continue
        _, at, head, length = same[0]
        number = struct.pack("<H", rng.choice((0, 1, 7, 8, 12, 15, 16, 24, 32, 64, 65535)))
        new = number if length == 2 and way < 3 else value
        if way == 3:  # a wrong length
            size = rng.choice((0, 1, 2, 0xFFFF))
            content = content[: at + 6] + struct.pack("<H", size) + content[at + 8 :]
        elif way == 4:  # gone
            content = content[:at] + content[at + head + length :]
        else:
            new += b" " * (len(new) % 2)
            content = content[: at + 6] + struct.pack("<H", len(new)) + new + content[at + head + length :]
        path.write_bytes(content)
        words = f"{len(paths)} files, element {tag[0]:04x},{tag[1]:04x} way {way} {new!r}"
    return Change(HEADER, words)


def _elements(content: bytes) -> list[tuple[tuple[int, int], int, int, int]]:
    """Tag, place, bytes of the head and of the value of the short elements before the pixels."""
    found, at = [], 132 if content[128:132] == b"DICM" else 0
    while at + 8 <= len(content):
        group, element = struct.unpack_from("<2H", content, at)
        kind = content[at + 4 : at + 6]
        if not kind.isalpha() or (group, element) == (0x7FE0, 0x10):
            break
        if kind in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OF", b"OD", b"OL"):
            (length,) = struct.unpack_from("<I", content, at + 8)
            if length == 0xFFFFFFFF:
                break
            at += 12 + length
            continue
        (length,) = struct.unpack_from("<H", content, at + 6)
        found.append(((group, element), at, 8, length))
        at += 8 + length
    return found


# Runs


def run(arguments: list[str], folder: Path, expected: str | None) -> tuple[int, str, str, float]:
    """``bonequality measure`` in a forked process: status (negative: a signal), standard error, what was read, and seconds.

    expected: what was read of the whole file; where it is read again, nothing is measured and the status is UNCHANGED.
    """
    begin = time.monotonic()
    read = folder / "read"
    child = os.fork()
    if not child:
        status = 120
        try:
            status = _child(arguments, folder, expected, read)
        finally:
            os._exit(status)
    status = _waited(child, begin + LIMIT_CLOCK_SECONDS)
    return status, (folder / "err").read_text(errors="replace"), read.read_text() if read.exists() else "", time.monotonic() - begin


def _child(arguments: list[str], folder: Path, expected: str | None, read: Path) -> int:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + LIMIT_SECONDS, used + LIMIT_SECONDS + 5))
    from BoneQualityLib import cli
    from BoneQualityLib.entry import measure_case as entry

    measure = entry.measure

    def compared(images, *others, **named):
        digest = digest_of(images)
        read.write_text(digest)
        if digest == expected:
            os._exit(UNCHANGED)
        return measure(images, *others, **named)

    entry.measure = compared
    return cli.main(arguments)


def _waited(child: int, end: float) -> int:
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


def digest_of(images) -> str:
    """Stands for all that a case is measured from: voxels, places and tags of its images, and the masks of its structures."""
    digest = hashlib.sha256()

    def add(value) -> None:
        if isinstance(value, (list, tuple)):
            for item in value:
                add(item)
        elif isinstance(value, np.ndarray):
            digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, Segment):
            add((str(value.structure), value.load()))
        elif isinstance(value, Grid):
            add((value.shape, value.ijk_to_ras.round(4) + 0.0))
        elif is_dataclass(value):
            add([getattr(value, item.name) for item in fields(value) if item.name != "name"])
        else:
            digest.update(repr(value).encode())

    add(images)
    return digest.hexdigest()


def numbers_in(folder: Path) -> tuple[dict[str, float], set[str]]:
    """The case's numbers, and the codes of its flags."""
    with open(folder / "case_case.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return {name: float(row[name]) for name in NUMBERS if row.get(name)}, set(filter(None, row["flags"].split("; ")))


def is_other(numbers: dict[str, float], expected: dict[str, float]) -> bool:
    return any(abs(value - expected.get(name, np.inf)) > TOLERANCE * max(abs(value), 1) for name, value in numbers.items())


def fuzz(files: int, seed: int, only: str = "", keep: Path | None = None, progress: Callable = lambda text: None) -> Counts:
    """Change and measure until so many files are done."""
    counts, shown, begin = Counts(), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        here = Path(made)
        subjects = [subject for subject in make_corpus(here / "whole") if only in subject.name]
        for subject in subjects:
            subject.expected = _expected(subject, here)
        for n in range(files):
            subject = subjects[n % len(subjects)]
            own = random.Random(f"{seed} {n}")
            change = _one(subject, own, here / "work", counts)
            if keep and len(counts.examples) > shown:
                shutil.copytree(here / "work", keep / f"{seed}-{n}-{subject.name}")
                (keep / f"{seed}-{n}-{subject.name}" / "change").write_text(f"{change}\n{counts.examples[-1]}\n")
            for said in counts.examples[shown:]:
                progress(said)
            shown = len(counts.examples)
            if n % 200 == 199:
                progress(f"{n + 1} files, {time.monotonic() - begin:.0f} s: {dict(counts.outcomes)} {dict(counts.faults)}")
    return counts


def _expected(subject: Subject, here: Path) -> tuple[str, dict, set]:
    work = here / "base"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    status, err, read, _ = run([*subject.arguments(subject.folder), "--output", str(work / "results")], work, None)
    if status:
        raise SystemExit(f"The whole files of {subject.name} are not measured: {status} {err}")
    return read, *numbers_in(work / "results")


def _one(subject: Subject, rng: random.Random, work: Path, counts: Counts) -> Change:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(subject.folder, work / "case")
    target = work / "case" / subject.target
    changes = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        with contextlib.suppress(OSError, EOFError, IndexError, ValueError, struct.error, zlib.error):
            changes.append(change_dicom(target, rng) if target.is_dir() else change_file(subject, target, rng))
    kinds = {change.kind for change in changes}
    kind = "structure" if "structure" in kinds else HEADER if HEADER in kinds else VOXELS
    change = Change(kind, "; ".join(change.words for change in changes))
    read, numbers, flags = subject.expected
    status, err, _, seconds = run([*subject.arguments(work / "case"), "--output", str(work / "results")], work, read)
    counts.by_subject[subject.name] += 1
    said = f"{subject.name}: {change.words} -> {status} after {seconds:.1f} s {err.strip()[-300:]}"
    if status == UNCHANGED:
        counts.outcomes["read as the whole file"] += 1
    elif status in (-signal.SIGKILL, -signal.SIGXCPU):
        counts.add_fault("over 20 s", said)
    elif "Traceback" in err or "Unexpected" in err:
        counts.add_fault("traceback", said)
    elif "Not enough memory" in err:
        counts.add_fault("over 2 GB", said)
    elif status < 0:
        counts.add_fault("signal", said)
    elif status == 2:
        if err.count("\n") != 1 or not err.startswith("bonequality: ") or (work / "results").exists():
            counts.add_fault("refusal not in one line", said)
        else:
            counts.outcomes["refused"] += 1
    elif status:
        counts.add_fault("other status", said)
    else:
        found, raised = numbers_in(work / "results")
        if err:
            counts.add_fault("words beside a result", said)
        elif not is_other(found, numbers):
            counts.outcomes["measured as the whole file"] += 1
        elif raised - flags:
            counts.outcomes["other numbers with a flag"] += 1
        elif kind in (VOXELS, HEADER):
            counts.outcomes[f"other numbers: changed {kind}"] += 1
            if kind == HEADER:
                counts.outcomes[f"  {subject.name.split('-')[0]} {' '.join(change.words.split()[:40])[:90]}"] += 0
        else:
            counts.add_fault("wrong numbers without a flag", f"{said} {found} for {numbers}")
    return change


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("files", 1000), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    counts = fuzz(options.files, options.seed, options.only, options.keep, lambda text: print(text, flush=True))
    for title, counted in (("Files", counts.by_subject), ("Outcomes", counts.outcomes), ("Faults", counts.faults)):
        print(title)
        for name, number in sorted(counted.items(), key=lambda pair: (pair[0].startswith(" "), -pair[1])):
            print(f"  {number:6} {name}" if number or not name.startswith(" ") else f"         {name}")
    return 1 if counts.faults else 0


if __name__ == "__main__":
    sys.exit(main())
