"""Many cases: each by itself, the same files whoever measures them, and what is done stays done."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from batch_faults import Crashes, worker_ids
from BoneQualityLib import cli
from BoneQualityLib.batch.run import RECORDS, Pages, run_batch
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.scene.session import mrml_scene
from spine_files import CT_GRID, HU, LIBRARY, bodies, ct, image_file, measure, segmentation_file

L2 = bodies(CT_GRID)["L2"]
LABELS = "segment,name\nL2 body,L2 body\n"
HEADER = "case_id,ct,ct_segmentation,labels,age,outcome,note"
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here: killed workers are NOT tested")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """CTs whose L2 has 100, 101, ... HU, and its mask."""
    folder = tmp_path_factory.mktemp("study")
    segmentation_file(folder / "masks.seg.nrrd", {"L2 body": L2})
    for n in range(6):
        image_file(folder / f"{n}.nii.gz", np.where(L2, np.int16(100 + n), ct()))
    return folder


@pytest.fixture
def study(tmp_path, made):
    """Six cases, last to first."""
    shutil.copytree(made, tmp_path / "study")
    return manifest(
        tmp_path / "study", [f"c{n},{n}.nii.gz,masks.seg.nrrd,,7{n},{n % 2},\"a, 'b'; =1\"" for n in reversed(range(6))]
    )


def manifest(folder, rows):
    (folder / "manifest.csv").write_text("\n".join([HEADER, *rows, ""]))
    return folder / "manifest.csv"


def results(folder):
    paths = (path for path in sorted(Path(folder).rglob("*")) if path.is_file() and RECORDS not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def table(folder, name):
    with open(Path(folder) / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def times(folder):
    """When the files of every case were written."""
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).glob("*.json")}


def command(study, folder, *options, **more):
    code = "import sys; from BoneQualityLib.cli import main; sys.exit(main())"
    arguments = [sys.executable, "-c", code, "batch", str(study), "--output", str(folder), *map(str, options)]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    return subprocess.Popen(
        arguments, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_control_c, **more
    )  # fmt: skip


def heed_control_c():
    """As a shell starts a command in front: what it starts in the background ignores ctrl-C, and so do all who come from there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_every_case_gets_the_files_of_measure_and_the_tables_their_rows_in_the_manifests_order(study, tmp_path, capfd):
    nodes = mrml_scene().GetNumberOfNodes()
    batch = run_batch(study, tmp_path / "out", workers=0)
    assert (sorted(batch.done), batch.failures, batch.kept) == ([f"c{n}" for n in range(6)], {}, 0)
    cohort = table(tmp_path / "out", "cohort.csv")
    assert [row["case_id"] for row in cohort] == ["c5", "c4", "c3", "c2", "c1", "c0"]
    assert [row["hu_3d"] for row in cohort] == [f"{105 - n}.00" for n in range(6)]
    assert [(row["outcome"], row["note"], row["age"]) for row in cohort][0] == ("1", "a, 'b'; =1", "75.0")
    assert list(cohort[0])[:4] == ["case_id", "outcome", "note", "hu_3d"] and "ct" not in cohort[0]
    assert [(row["case_id"], row["level"]) for row in table(tmp_path / "out", "levels.csv")] == [
        (f"c{5 - n}", "L2") for n in range(6)
    ]
    assert table(tmp_path / "out", "failures.csv") == [] and not (tmp_path / "out" / "muscles.csv").exists()
    assert mrml_scene().GetNumberOfNodes() == nodes
    alone = measure(
        capfd, tmp_path / "alone", "--ct", study.parent / "3.nii.gz", "--ct-segmentation", study.parent / "masks.seg.nrrd",
        "--age", "73", case_id="c3", report=True,
    )  # fmt: skip
    assert alone.status == 0 and alone.files.items() <= results(tmp_path / "out").items()


def test_no_path_gets_into_a_result_and_no_formula_into_a_table(made, tmp_path):
    path = manifest(
        tmp_path, [f"a,{made}/0.nii.gz,{made}/masks.seg.nrrd,,,-1.5,=HYPERLINK(1)", f"b,{made}/0.nii.gz,{made}/0.nii.gz,,,+2,@x"]
    )
    run_batch(path, tmp_path / "out", workers=0)
    (row,) = table(tmp_path / "out", "cohort.csv")
    assert (row["outcome"], row["note"]) == ("-1.5", "'=HYPERLINK(1)")
    assert not any(str(made).encode() in content for content in results(tmp_path / "out").values())


def test_processes_and_one_process_write_the_same_bytes(study, tmp_path, capfd):
    run_batch(study, tmp_path / "serial", workers=0)
    assert cli.main(["batch", str(study), "--output", str(tmp_path / "two"), "--workers", "2"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("6 cases done, 0 of them before, 0 failed\n") and "failures.csv" in out and err == ""
    assert results(tmp_path / "two") == results(tmp_path / "serial")


def test_a_dask_cluster_writes_the_same_bytes(study, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is absent: clusters are NOT tested")
    run_batch(study, tmp_path / "serial", workers=0)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address=None) as cluster:
        batch = run_batch(study, tmp_path / "dask", scheduler=cluster.scheduler_address)
    assert len(batch.done) == 6 and results(tmp_path / "dask") == results(tmp_path / "serial")


@needs_proc
def test_a_worker_of_a_cluster_that_dies_costs_the_case_it_had(study, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is absent: clusters are NOT tested")
    import dask

    os.mkfifo(study.parent / "crash.csv")
    study.write_text(study.read_text().replace("c3,3.nii.gz,masks.seg.nrrd,", "c3,3.nii.gz,masks.seg.nrrd,crash.csv"))
    Crashes(study.parent / "crash.csv").start()
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        with distributed.LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
            batch = run_batch(study, tmp_path / "out", scheduler=cluster.scheduler_address)
    assert "c3" in batch.failures and {failure.stage for failure in batch.failures.values()} == {"process"}
    assert list(run_batch(study, tmp_path / "out", workers=2, resume=True).failures) == ["c3"]


@needs_proc
def test_a_scheduler_that_is_killed_is_said_in_one_line_and_what_is_done_is_kept(study, tmp_path):
    pytest.importorskip("distributed", reason="dask.distributed is absent: clusters are NOT tested")
    os.mkfifo(study.parent / "never.csv")
    keep = os.open(study.parent / "never.csv", os.O_RDWR)
    study.write_text(study.read_text().replace("c0,0.nii.gz,masks.seg.nrrd,", "c0,0.nii.gz,masks.seg.nrrd,never.csv"))
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    quiet = dict(env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", address.rsplit(":", 1)[1], "--no-dashboard"]
    scheduler = subprocess.Popen(start, **quiet)
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"], **quiet
    )
    try:
        run = command(study, tmp_path / "out", "--scheduler", address)
        until(lambda: (tmp_path / "out").is_dir() and len(times(tmp_path / "out")) == 5, run)
        scheduler.kill()
        out, err = run.communicate(timeout=300)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
        os.close(keep)
    assert run.returncode == 1 and err.count("\n") == 1 and "The cluster cannot go on" in err, err
    assert "5 cases done, 0 of them before, 1 failed" in out
    assert [row["case_id"] for row in table(tmp_path / "out", "cohort.csv")] == ["c5", "c4", "c3", "c2", "c1"]
    assert [row["case_id"] for row in table(tmp_path / "out", "failures.csv")] == ["c0"]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_cluster_that_is_not_there_is_named(study, tmp_path):
    pytest.importorskip("distributed", reason="dask.distributed is absent: clusters are NOT tested")
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        with pytest.raises(BoneQualityError, match="No Dask scheduler .* answers at tcp://127.0.0.1:9"):
            run_batch(study, tmp_path / "out", scheduler="tcp://127.0.0.1:9")


def test_a_fault_costs_its_case_alone_and_says_where_and_why(study, tmp_path, capfd):
    (study.parent / "4.nii.gz").write_bytes((study.parent / "4.nii.gz").read_bytes()[:-100])
    shutil.copy(study.parent / "masks.seg.nrrd", study.parent / "2.seg.nrrd")
    text = study.read_text().replace("2.nii.gz", "2.seg.nrrd")
    study.write_text(text)
    assert cli.main(["batch", str(study), "--output", str(tmp_path / "out"), "--workers", "1"]) == 1
    failures = table(tmp_path / "out", "failures.csv")
    assert [(row["case_id"], row["stage"]) for row in failures] == [("c4", "read"), ("c2", "read")]
    assert failures[0]["sentence"].startswith("ct is cut short") and "is a segmentation" in failures[1]["sentence"]
    assert [row["case_id"] for row in table(tmp_path / "out", "cohort.csv")] == ["c5", "c3", "c1", "c0"]
    assert "c4 (read): ct is cut short" in capfd.readouterr().out


def test_faults_of_the_manifest_are_listed_before_anything_is_measured(study, tmp_path, capfd):
    study.write_text(study.read_text().replace("4.nii.gz", "9.nii.gz").replace("c1", "C2"))
    assert cli.main(["batch", str(study), "--output", str(tmp_path / "out")]) == 2
    out, err = capfd.readouterr()
    assert out == "" and not (tmp_path / "out").exists()
    assert err.splitlines() == [
        f"bonequality: {study} has 2 faults; correct them and start again:",
        "row 3, ct: 9.nii.gz is not there; check the path.",
        "row 6, case_id: C2 differs by letter case alone from c2 in row 5; give every case an id of its own, as it names files.",
    ]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--workers", "0"], "'0' is no number of workers"),
        (["--workers", "two"], "'two' is no number of workers"),
        (["--resume", "--overwrite"], "not both"),
        (["--cutoffs", "none.csv"], "cut-offs file none.csv cannot be read"),
    ],
)
def test_a_wrong_option_of_batch_is_named(study, tmp_path, capfd, options, words):
    assert cli.main(["batch", str(study), "--output", str(tmp_path / "out"), *options]) == 2
    out, err = capfd.readouterr()
    assert out == "" and words in err and err.count("\n") == 1 and not (tmp_path / "out").exists()


# Going on


def test_resume_keeps_what_is_done_and_ends_with_the_same_bytes(study, tmp_path):
    run_batch(study, tmp_path / "out", workers=0)
    before, written = results(tmp_path / "out"), times(tmp_path / "out")
    for name in ("c3.json", "c1_levels.csv", "cohort.csv"):
        (tmp_path / "out" / name).unlink()
    batch = run_batch(study, tmp_path / "out", workers=0, resume=True)
    assert (batch.kept, len(batch.done)) == (4, 6) and results(tmp_path / "out") == before
    again = {name for name, at in times(tmp_path / "out").items() if written[name] != at}
    assert again == {"c3.json", "c1.json"}


def _newer(study):
    path = study.parent / "2.nii.gz"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def _other(study):
    image_file(study.parent / "2.nii.gz", np.where(L2, np.int16(HU["L1"] + 50), ct()))


@pytest.mark.parametrize(
    "change, again",
    [
        (_newer, {"c2.json"}),
        (_other, {"c2.json"}),
        (lambda study: study.write_text(study.read_text().replace(",72,", ",82,")), {"c2.json"}),
        (lambda study: study.write_text(study.read_text().replace("outcome", "vbq_margin")), {f"c{n}.json" for n in range(6)}),
        (lambda study: study.write_text(study.read_text().replace("outcome", "group")), set()),
        (lambda study: os.utime(study.parent / "masks.seg.nrrd", (0, 0)), {f"c{n}.json" for n in range(6)}),
    ],
)
def test_a_case_whose_inputs_or_parameters_changed_is_measured_again(study, tmp_path, change, again):
    how = dict(workers=0, pages=Pages(reports=False))
    run_batch(study, tmp_path / "out", **how)
    written = times(tmp_path / "out")
    change(study)
    assert not run_batch(study, tmp_path / "out", resume=True, **how).failures
    assert {name for name, at in times(tmp_path / "out").items() if written[name] != at} == again
    run_batch(study, tmp_path / "fresh", **how)
    assert results(tmp_path / "out") == results(tmp_path / "fresh")


def test_results_of_inputs_that_are_now_damaged_do_not_stay(study, tmp_path):
    run_batch(study, tmp_path / "out", workers=0)
    (study.parent / "2.nii.gz").write_bytes(b"x")
    batch = run_batch(study, tmp_path / "out", workers=0, resume=True)
    assert list(batch.failures) == ["c2"] and not list((tmp_path / "out").glob("c2*"))
    shutil.copy(study.parent / "1.nii.gz", study.parent / "2.nii.gz")
    assert not run_batch(study, tmp_path / "out", workers=0, resume=True).failures
    assert table(tmp_path / "out", "failures.csv") == []


def test_nothing_is_replaced_unasked_nor_what_is_not_of_a_batch(study, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "c3_case.csv").write_text("mine")
    for options in ({}, dict(resume=True)):
        with pytest.raises(BoneQualityError, match="c3_case.csv is there already") as refused:
            run_batch(study, tmp_path / "out", workers=0, **options)
        assert refused.value.remedies == (("overwrite",) if options else ("resume", "overwrite"))
        assert results(tmp_path / "out") == {"c3_case.csv": b"mine"}
    run_batch(study, tmp_path / "out", workers=0, overwrite=True)
    with pytest.raises(BoneQualityError, match="keep what is done, or allow overwriting"):
        run_batch(study, tmp_path / "out", workers=0)
    assert run_batch(study, tmp_path / "out", workers=0, resume=True).kept == 6


def test_an_exception_from_progress_stops_between_cases_and_what_is_done_is_kept(study, tmp_path):
    class Stopped(Exception):
        pass

    said = []

    def progress(share, text):
        said.append((share, text))
        if len(said) == 4:
            raise Stopped

    with pytest.raises(Stopped):
        run_batch(study, tmp_path / "out", workers=0, progress=progress)
    assert sorted(times(tmp_path / "out")) == ["c3.json", "c4.json", "c5.json"] and not (tmp_path / "out" / "cohort.csv").exists()
    assert [share for share, _ in said] == [0, 1 / 6, 2 / 6, 3 / 6]
    assert said[3][1].startswith("3 of 6 cases, 0 failed, ") and said[3][1].endswith(" left")
    assert run_batch(study, tmp_path / "out", workers=0, resume=True).kept == 3


@needs_proc
def test_a_disk_that_is_full_when_the_tables_are_written_keeps_the_cases(study, tmp_path, monkeypatch):
    force = os.fsync

    def full(file):
        if os.readlink(f"/proc/self/fd/{file}").rsplit("/", 1)[-1].startswith(".cohort.csv."):
            raise OSError(errno.ENOSPC, "No space left on device")
        force(file)

    with monkeypatch.context() as disk, pytest.raises(BoneQualityError, match="No space left.* are kept; after that, run the batch again"):
        disk.setattr(os, "fsync", full)
        run_batch(study, tmp_path / "out", workers=0)
    assert run_batch(study, tmp_path / "out", workers=0, resume=True).kept == 6


# Killed


@needs_proc
def test_a_worker_that_dies_costs_the_case_it_had(study, tmp_path):
    os.mkfifo(study.parent / "crash.csv")
    study.write_text(study.read_text().replace("c3,3.nii.gz,masks.seg.nrrd,", "c3,3.nii.gz,masks.seg.nrrd,crash.csv"))
    Crashes(study.parent / "crash.csv").start()
    batch = run_batch(study, tmp_path / "out", workers=2)
    assert len(batch.done) == 5 and list(batch.failures) == ["c3"]
    assert batch.failures["c3"].stage == "process" and "measure it alone" in batch.failures["c3"].sentence


@dataclass
class Waiting:
    """A run that is in its last case, and reads there a file of labels, a FIFO, to whose end it does not come."""

    run: subprocess.Popen
    fifo: Path
    writer: FileIO

    def finish_labels(self):
        Path(f"{self.fifo}.whole").write_text(LABELS)
        os.replace(f"{self.fifo}.whole", self.fifo)  # for who reads it once more
        self.writer.write(LABELS[1:].encode())
        self.writer.close()


@pytest.fixture
def waiting(study, tmp_path):
    fifo = study.parent / "never.csv"
    os.mkfifo(fifo)
    writer = open(fifo, "r+b", buffering=0)
    writer.write(LABELS[:1].encode())
    study.write_text(study.read_text().replace("c0,0.nii.gz,masks.seg.nrrd,", "c0,0.nii.gz,masks.seg.nrrd,never.csv"))
    run = command(study, tmp_path / "out", "--workers", "1", start_new_session=True)
    until(lambda: unread(writer) == 0, run)
    assert len(times(tmp_path / "out")) == 5
    yield Waiting(run, fifo, writer)
    run.kill()
    run.communicate()
    writer.close()


def unread(fifo):
    """Bytes that nobody took out of a FIFO yet."""
    import fcntl  # where there is a /proc
    import termios

    return int.from_bytes(fcntl.ioctl(fifo, termios.FIONREAD, bytes(4)), sys.byteorder)


def until(condition, run=None):
    """Wait for what another process does: by turns, not by the clock, which goes on where the whole machine is held."""
    for _ in range(30_000):
        if condition():
            return
        assert run is None or run.poll() is None, f"the run ended: {run.communicate()}"
        threading.Event().wait(0.01)
    pytest.fail("it did not happen")


@needs_proc
def test_a_killed_parent_takes_its_workers_along_and_the_run_can_go_on(waiting, study, tmp_path):
    workers = worker_ids(waiting.run.pid)
    assert len(workers) == 1
    waiting.run.kill()
    until(lambda: not Path(f"/proc/{workers[0]}").exists())
    waiting.fifo.unlink()
    study.write_text(study.read_text().replace("never.csv", ""))
    assert run_batch(study, tmp_path / "out", workers=0, resume=True).kept == 5
    run_batch(study, tmp_path / "fresh", workers=0)
    assert results(tmp_path / "out") == results(tmp_path / "fresh")


@needs_proc
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_control_c_and_sigterm_end_in_one_line_once_the_case_in_hand_is_finished(waiting, study, tmp_path, sent):
    os.killpg(waiting.run.pid, sent)
    waiting.finish_labels()
    out, err = waiting.run.communicate(timeout=600)
    assert (waiting.run.returncode, out) == (1, "")
    assert err.strip() == "bonequality: Stopped; what is done is kept: go on with --resume."
    assert len(times(tmp_path / "out")) == 6 and not (tmp_path / "out" / "cohort.csv").exists()
