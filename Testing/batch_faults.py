"""A manifest of small cases of which twelve are faulty in twelve ways, batch runs on it that are killed, and what they leave.

    python Testing/batch_faults.py [--cases 200] [--kills 5] [--workers 2]

An undisturbed run, then as many runs as asked for whose parent and one of whose workers are killed (kill -9) at random moments,
each gone on with by --resume; then a second batch into the folder of one that runs, a disk that is full until it is gone on with,
and a Dask scheduler that is killed. Exits with 1 where the bytes differ from those of the undisturbed run. Linux only.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from itertools import zip_longest
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "BoneQuality"), str(ROOT / "Testing")]

from BoneQualityLib.batch.run import RECORDS  # noqa: E402
from spine_files import CT_GRID, T1_GRID, bodies, ct, dicom_folder, image_file, label_map, segmentation_file, t1  # noqa: E402

#: Address space of the command and each of its workers, and the bytes of an image that does not fit in.
MEMORY_LIMIT, HUGE = 6 << 30, 8 << 30
COLUMNS = ("case_id", "ct", "ct_segmentation", "t1", "t1_segmentation", "labels", "outcome")


def make_manifest(folder: Path, cases: int) -> Path:
    """A manifest of ``cases`` cases of one level of known HU, twelve of them faulty and spread among the others."""
    folder.mkdir(parents=True)
    L2 = bodies(CT_GRID)["L2"]
    segmentation_file(folder / "masks.seg.nrrd", {"L2 body": L2})
    image_file(folder / "t1.nrrd", t1(), T1_GRID)
    faulty = faults(folder)
    every = max(cases // len(faulty), 1)
    rows = []
    for n in range(cases):
        if n % every == every // 2 and faulty:
            name, cells = faulty.popitem()
            rows.append(dict(case_id=name, ct="whole.nii.gz", ct_segmentation="masks.seg.nrrd", outcome=n) | cells)
            continue
        image_file(folder / f"{n}.nii.gz", np.where(L2, ct() + np.int16(n), ct()))
        rows.append(dict(case_id=f"case-{n}", ct=f"{n}.nii.gz", ct_segmentation="masks.seg.nrrd", outcome=n))
    with open(folder / "manifest.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return folder / "manifest.csv"


def faults(at: Path) -> dict[str, dict]:
    """Twelve faulty cases: id and the cells that differ from those of a good one."""
    whole = image_file(at / "whole.nii.gz", ct()).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 16
    (at / "flipped.nii.gz").write_bytes(flipped)
    (at / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (at / "locked.nii.gz").write_bytes(whole)
    (at / "locked.nii.gz").chmod(0)
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(ct())] * 2), str(at / "4d.nii.gz"))
    image_file(at / "nan.nrrd", np.full(CT_GRID.shape, np.nan, np.float32))
    image_file(at / "labels.nii.gz", label_map())
    segmentation_file(at / "liver.seg.nrrd", {"liver": bodies(CT_GRID)["L2"]})
    segmentation_file(at / "empty.seg.nrrd", {"L2 body": np.zeros(CT_GRID.shape, bool), "liver": bodies(CT_GRID)["L2"]})
    dicom_folder(at / "mri", Modality="MR")
    os.mkfifo(at / "crash.csv")
    header = "type: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2048 2048 1024\nencoding: raw\nendian: little\n"
    (at / "huge.nrrd").write_text(f"NRRD0004\n{header}space directions: (.5,0,0) (0,.5,0) (0,0,.5)\nspace origin: (0,0,0)\n\n")
    os.truncate(at / "huge.nrrd", (at / "huge.nrrd").stat().st_size + HUGE)
    return {
        "corrupt-gzip": dict(ct="flipped.nii.gz"),
        "missing-segment": dict(ct_segmentation="liver.seg.nrrd"),
        "wrong-modality": dict(ct="mri"),
        "4-D": dict(ct="4d.nii.gz"),
        "empty-mask": dict(ct_segmentation="empty.seg.nrrd"),
        "nan": dict(ct="nan.nrrd"),
        "truncated": dict(ct="cut.nii.gz"),
        "nameless-labels": dict(ct_segmentation="labels.nii.gz"),
        "swapped": dict(ct="t1.nrrd", t1="whole.nii.gz", t1_segmentation="masks.seg.nrrd"),
        "unreadable": dict(ct="locked.nii.gz"),
        "crash": dict(labels="crash.csv"),
        "out-of-memory": dict(ct="huge.nrrd"),
    }


class Crashes(threading.Thread):
    """Ends every process that opens a FIFO, as a fault of the interpreter would: the reader waits until it is killed."""

    def __init__(self, fifo: Path):
        super().__init__(daemon=True)
        self.fifo = fifo

    def run(self) -> None:
        os.open(self.fifo, os.O_RDWR)  # held open, so that nobody who reads comes to an end before the kill
        while True:
            for pid in self.readers():
                os.kill(pid, signal.SIGSEGV)
            time.sleep(0.1)

    def readers(self) -> list[int]:
        return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and self.is_read_in(pid)]

    def is_read_in(self, pid: str) -> bool:
        """Whether a process has the FIFO open to read: a child that this one forks has its end to write for a moment."""
        try:
            open_here = [fd for fd in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{fd}") == str(self.fifo)]
            return any(access_mode(f"/proc/{pid}/fdinfo/{fd}") == os.O_RDONLY for fd in open_here)
        except OSError:
            return False


def access_mode(fdinfo: str) -> int:
    """Whether a process has a file open to read, write or both."""
    flags = re.search(r"(?m)^flags:\s*([0-7]+)", Path(fdinfo).read_text())
    return int(flags[1], 8) & os.O_ACCMODE


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


def as_user(*command) -> list[str]:
    """A command without the rights of root."""
    if os.geteuid() == 0:
        dropped = "-dac_override,-dac_read_search"
        command = ("setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}", *command)
    return [str(part) for part in command]


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT,) * 2)


def start(manifest: Path, folder: Path, workers: int, *options) -> subprocess.Popen:
    """The command as a user without the rights of root, whose memory is limited."""
    command = (sys.executable, "-m", "BoneQualityLib.cli", "batch", manifest, "--output", folder, "--workers", workers, *options)
    return subprocess.Popen(
        as_user(*command), env=os.environ | {"PYTHONPATH": str(ROOT / "BoneQuality")}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit_memory,
    )  # fmt: skip


def worker_ids(parent: int) -> list[int]:
    """The processes of a run that measure."""
    found = []
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found.append(int(pid))
    return found


def results(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(RECORDS)}


def differing(found: dict[str, bytes], expected: dict[str, bytes]) -> str:
    """The files that are not the same, and where in each."""
    said = []
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            lines = zip_longest(*(files.get(name, b"").splitlines() for files in (found, expected)), fillvalue=b"")
            first = next(((a, b) for a, b in lines if a != b), (b"", b""))
            said.append(f"{name}: {first[0][:200]!r} for {first[1][:200]!r}")
    return f"OTHER BYTES ({'; '.join(said)})" if said else "same bytes"


def failures(folder: Path) -> list[dict[str, str]]:
    with open(folder / "failures.csv", newline="") as file:
        return list(csv.DictReader(file))


def killed_and_resumed(manifest: Path, folder: Path, workers: int, seconds: float, rng: random.Random) -> str:
    """Kill the parent at a random moment, go on, kill a worker at another one, go on to the end; returns what was done."""
    run = start(manifest, folder, workers)
    at_parent = rng.uniform(0.05, 0.9) * seconds
    time.sleep(at_parent)
    orphans = worker_ids(run.pid)
    run.kill()
    run.communicate()
    done = len(list(folder.glob("*.json"))) if folder.is_dir() else 0
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    left = [pid for pid in orphans if Path(f"/proc/{pid}").exists()]
    run = start(manifest, folder, workers, "--resume")
    at_worker = rng.uniform(0.1, 0.9) * seconds * (1 - at_parent / seconds) + 2
    time.sleep(at_worker)
    victims = worker_ids(run.pid) if run.poll() is None else []
    if victims:
        os.kill(rng.choice(victims), signal.SIGKILL)
    run.communicate()
    between = len(failures(folder))
    run = start(manifest, folder, workers, "--resume")
    run.communicate()
    return (
        f"parent killed after {at_parent:.1f} s ({done} done, {len(left)} orphans), worker after {at_worker:.1f} s "
        f"({'one' if victims else 'none'} killed, {between} failures), status at the end {run.returncode}"
    )


def two_at_once(manifest: Path, folder: Path, workers: int) -> str:
    """Start a second run, with and without --overwrite, while the first one measures; "" where both were refused in one line."""
    first = start(manifest, folder, workers)
    wait_until(lambda: len(list(folder.glob("*.json"))) > 0)
    said = []
    for options in ((), ("--overwrite",)):
        second = start(manifest, folder, workers, *options)
        out, err = second.communicate()
        if second.returncode != 2 or out or err.count("\n") != 1 or "Another batch" not in err:
            said.append(f"status {second.returncode}: {out}{err}")
    first.communicate()
    return " ".join(said)


#: On a disk of its own: a run that fills it, the filling removed, and the run gone on with; results are copied at the end.
_ON_A_FULL_DISK = """
set -u
mount -t tmpfs -o size="$1" none "$2" && head -c "$3" /dev/zero > "$2/filling" || exit 99
shift 3
"$@" --output "$DISK/out" >&2; echo "$?"
rm "$DISK/filling"
"$@" --output "$DISK/out" --resume >&2; echo "$?"
cp -r "$DISK/out" "$COPY"
"""


def full_disk(manifest: Path, here: Path, workers: int, expected: dict[str, bytes]) -> tuple[str, dict[str, bytes]]:
    """What was said, and the results; the disk has room for about half of them at first."""
    page = 4096
    needed = sum(-(-len(content) // page) * page for content in expected.values()) + page * len(expected)
    disk, copy = here / "disk", here / "copy"
    disk.mkdir()
    command = as_user(sys.executable, "-m", "BoneQualityLib.cli", "batch", manifest, "--workers", workers)
    arguments = [str(part) for part in (2 * needed, disk, 2 * needed - needed // 2, *command)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", _ON_A_FULL_DISK, "sh", *arguments], capture_output=True, text=True, preexec_fn=limit_memory,
        env=os.environ | {"PYTHONPATH": str(ROOT / "BoneQuality"), "DISK": str(disk), "COPY": str(copy)},
    )  # fmt: skip
    if done.returncode == 99:
        return "NOT TESTED: no disk of its own can be made here", expected
    full = len(re.findall("No space left", done.stderr))
    clean = "Traceback" not in done.stderr
    return f"statuses {done.stdout.split()}, {full} times no space, {'no' if clean else 'A'} traceback", results(copy)


def scheduler_killed(manifest: Path, folder: Path, seconds: float, rng: random.Random) -> str:
    """Measure on a Dask cluster whose scheduler is killed, and go on with processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = dict(env=os.environ | {"PYTHONPATH": str(ROOT / "BoneQuality")}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    module, address = [sys.executable, "-m"], f"tcp://127.0.0.1:{port}"
    scheduler = subprocess.Popen([*module, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet)
    worker = subprocess.Popen([*module, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"], **quiet)
    run = start(manifest, folder, 1, "--scheduler", address)
    wait_until(lambda: len(list(folder.glob("*.json"))) > 0)
    time.sleep(rng.uniform(0, 0.5) * seconds)
    scheduler.kill()
    out, err = run.communicate()
    worker.terminate()
    worker.wait()
    scheduler.wait()
    tables = sorted(path.name for path in folder.glob("*.csv") if "_" not in path.name)
    resumed = start(manifest, folder, 2, "--resume")
    resumed.communicate()
    lines = err.count("\n")
    return f"status {run.returncode}, {lines} line{'s' * (lines != 1)} on stderr, {out.splitlines()[:1]}, {', '.join(tables)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("cases", 200), ("kills", 5), ("workers", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as made:
        here = Path(made)
        manifest = make_manifest(here / "study", options.cases)
        Crashes(manifest.parent / "crash.csv").start()
        begin = time.monotonic()
        run = start(manifest, here / "undisturbed", options.workers)
        out, err = run.communicate()
        seconds = time.monotonic() - begin
        expected = results(here / "undisturbed")
        print(f"undisturbed: {seconds:.1f} s, status {run.returncode}, {len(expected)} files\n{out}{err}")
        for failure in failures(here / "undisturbed"):
            print("  " + " | ".join(failure.values()))
        good = run.returncode == 1 and len(failures(here / "undisturbed")) == 12
        for n in range(options.kills):
            said = killed_and_resumed(manifest, here / "killed", options.workers, seconds, rng)
            found = results(here / "killed")
            good &= found == expected
            print(f"{n + 1}: {differing(found, expected)}; {said}", flush=True)
            shutil.rmtree(here / "killed")
        said = two_at_once(manifest, here / "two", options.workers)
        found = results(here / "two")
        good &= found == expected and not said
        print(f"two batches at once: {differing(found, expected)}; {said or 'the second refused'}", flush=True)
        said, found = full_disk(manifest, here, options.workers, expected)
        good &= found == expected
        print(f"full disk: {differing(found, expected)}; {said}", flush=True)
        said = scheduler_killed(manifest, here / "cluster", seconds, rng)
        found = results(here / "cluster")
        good &= found == expected
        print(f"scheduler killed: {differing(found, expected)}; {said}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
