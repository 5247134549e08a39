"""What is the user's stays so: files that others put there, a batch that runs, and what nobody outside may read."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

import dicom_makers
import fuzz_corpus
from BoneQualityLib import cli
from BoneQualityLib.batch.manifest import ManifestFaults, read_manifest
from BoneQualityLib.batch.run import LOCK, RECORDS, run_batch
from BoneQualityLib.batch.workers import Limits, WorkerDied, in_processes
from BoneQualityLib.columns import Column, unarmed
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.files import writing
from BoneQualityLib.files.csv_tables import csv_text
from BoneQualityLib.files.dicom_texts import technical_text
from BoneQualityLib.files.folder_lock import only_writer
from BoneQualityLib.files.writing import check_free, write_whole
from BoneQualityLib.parameters import CaseFacts, is_id
from fuzz_corpus import CT_GRID
from spine_files import LIBRARY, image_file, measure, segmentation_file

ARRAY, MASK = fuzz_corpus.ct()
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here: limits of processes are NOT tested")


@pytest.fixture
def files(tmp_path):
    """A CT of one vertebra and its mask."""
    image_file(tmp_path / "in" / "ct.nii.gz", ARRAY, CT_GRID)
    segmentation_file(tmp_path / "in" / "mask.seg.nrrd", {"L2 body": MASK}, CT_GRID)
    return tmp_path / "in"


def manifest(folder: Path, rows: list[str], header: str = "case_id,ct,ct_segmentation") -> Path:
    (folder / "manifest.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return folder / "manifest.csv"


def failures(folder: Path) -> dict[str, str]:
    with open(folder / "failures.csv", newline="", encoding="utf-8") as file:
        return {row["case_id"]: row["sentence"] for row in csv.DictReader(file)}


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Files of others


def test_a_link_in_the_place_of_a_temporary_file_is_not_written_through(tmp_path, files, capfd):
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.write_text("precious")
    (out / RECORDS).mkdir(parents=True)
    for name in (".case.json.part", ".case_case.csv.part", ".case_levels.csv.part", f"{RECORDS}/case", f"{RECORDS}/.case.part"):
        (out / name).symlink_to(victim)
    done = measure(capfd, out, "--ct", files / "ct.nii.gz", "--ct-segmentation", files / "mask.seg.nrrd")
    assert done.status == 0 and victim.read_text() == "precious" and not (out / "case.json").is_symlink()
    run_batch(manifest(files, ["case,ct.nii.gz,mask.seg.nrrd"]), out, workers=0, overwrite=True)
    assert victim.read_text() == "precious" and not (out / RECORDS / "case").is_symlink()


def test_a_link_in_the_place_of_a_result_is_there_already_even_where_it_leads_nowhere(tmp_path, files, capfd):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "case.json").symlink_to(tmp_path / "nowhere")
    done = measure(capfd, tmp_path / "out", "--ct", files / "ct.nii.gz", "--ct-segmentation", files / "mask.seg.nrrd")
    assert done.status == 2 and "is there already" in done.err and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("when", ["before the first", "between"])
def test_a_file_that_appears_while_another_is_written_is_not_replaced(tmp_path, monkeypatch, when):
    first, second = tmp_path / "a.csv", tmp_path / "a.json"
    force = os.fsync

    def meanwhile(file):
        force(file)
        (first if when == "before the first" else second).write_text("of another")

    monkeypatch.setattr(writing.os, "fsync", meanwhile)
    with pytest.raises(BoneQualityError, match="is there already"):
        write_whole({first: "x", second: "y"}, overwrite=False)
    assert all_bytes(tmp_path) == {(first if when == "before the first" else second).name: b"of another"}


def test_a_disk_without_hard_links_gets_its_files_too(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(writing.os, "link", refused)
    write_whole({tmp_path / "a": "x"}, overwrite=False)
    assert all_bytes(tmp_path) == {"a": b"x"}


def test_files_have_the_rights_that_the_user_gives_to_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole({tmp_path / "a": "x"}, overwrite=False)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_names_that_differ_by_letter_case_alone_are_one(tmp_path, files, capfd):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "CASE.json").write_text("{}")
    for overwrite in (False, True):
        with pytest.raises(BoneQualityError, match="CASE.json is there already"):
            check_free([tmp_path / "out" / "case.json"], overwrite)
    with pytest.raises(ManifestFaults, match="differs by letter case alone from a"):
        read_manifest(manifest(files, ["a,ct.nii.gz,mask.seg.nrrd", "A,ct.nii.gz,mask.seg.nrrd"]))


@pytest.mark.parametrize("name", ["con", "CON", "nul", "Prn", "aux", "COM1", "lpt9", "nul.txt", "com1.2.nii"])
def test_names_of_devices_of_windows_are_no_ids(name):
    assert not is_id(name)
    with pytest.raises(BoneQualityError, match="device of Windows"):
        CaseFacts(name)


@pytest.mark.parametrize("name", ["console", "com10", "nul-1", "a.con", "lpt"])
def test_names_like_those_of_devices_are_ids(name):
    assert is_id(name)


# One batch at a time


def test_a_second_batch_in_a_folder_is_refused_in_one_line_and_changes_nothing(tmp_path, files, capfd):
    study, out = manifest(files, ["case,ct.nii.gz,mask.seg.nrrd"]), tmp_path / "out"
    run_batch(study, out, workers=0)
    before = all_bytes(out)
    with only_writer(out, out / RECORDS / LOCK):
        for option in ("--resume", "--overwrite"):
            capfd.readouterr()
            assert cli.main(["batch", str(study), "--output", str(out), "--workers", "1", option]) == 2
            printed, said = capfd.readouterr()
            assert printed == "" and said.count("\n") == 1 and "Another batch is writing to" in said
    assert all_bytes(out) == before
    assert run_batch(study, out, workers=0, resume=True).kept == 1


def test_a_process_that_was_killed_holds_no_lock(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from BoneQualityLib.files.folder_lock import only_writer\n"
        "with only_writer(Path(sys.argv[1]), Path(sys.argv[1]) / 'lock'): print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=os.environ | {"PYTHONPATH": str(LIBRARY)}, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(BoneQualityError, match="Another batch"):
        with only_writer(tmp_path, tmp_path / "lock"):
            pass
    holder.kill()
    holder.communicate()
    with only_writer(tmp_path, tmp_path / "lock"):
        pass


def test_what_killed_runs_left_half_written_goes_and_nothing_else(tmp_path, files):
    out = tmp_path / "out"
    out.mkdir()
    for name in (".case.json.0123456789abcdef.part", ".mine.part", "case.part"):
        (out / name).write_text("x")
    run_batch(manifest(files, ["case,ct.nii.gz,mask.seg.nrrd"]), out, workers=0)
    assert {name for name in os.listdir(out) if name.endswith(".part")} == {".mine.part", "case.part"}


# Limits


@needs_proc
def test_a_job_that_takes_too_long_is_ended_and_the_others_are_done(tmp_path):
    os.mkfifo(tmp_path / "never")
    keep = os.open(tmp_path / "never", os.O_RDWR)  # so that who opens it waits for words
    (tmp_path / "good").write_text("x")
    jobs = [tmp_path / "good", tmp_path / "never", tmp_path / "good"]
    done = list(in_processes(Path.read_text, jobs, 1, Limits(seconds=6)))
    os.close(keep)
    assert [job.name for job, _ in done] == ["good", "never", "good"] and done[0][1] == done[2][1] == "x"
    assert isinstance(done[1][1], WorkerDied) and "longer than 0.1 minutes" in str(done[1][1])


@needs_proc
def test_a_case_that_takes_too_much_memory_is_a_failure_by_name(tmp_path, files):
    header = "type: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 1024 1024 1024\nencoding: raw\nendian: little\n"
    (files / "huge.nrrd").write_text(f"NRRD0004\n{header}space directions: (.5,0,0) (0,.5,0) (0,0,.5)\nspace origin: (0,0,0)\n\n")
    os.truncate(files / "huge.nrrd", (files / "huge.nrrd").stat().st_size + (2 << 30))
    rows = ["huge,huge.nrrd,mask.seg.nrrd", "good,ct.nii.gz,mask.seg.nrrd"]
    batch = run_batch(manifest(files, rows), tmp_path / "out", workers=1, limits=Limits(memory=1 << 30))
    assert batch.done == {"good"} and list(batch.failures) == ["huge"]
    assert "memory" in batch.failures["huge"].sentence or "cannot be read" in batch.failures["huge"].sentence


@pytest.mark.parametrize("option", ["--time-limit", "--memory-limit"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "soon"])
def test_a_limit_that_is_none_is_refused(tmp_path, files, capfd, option, value):
    study = manifest(files, ["case,ct.nii.gz,mask.seg.nrrd"])
    assert cli.main(["batch", str(study), "--output", str(tmp_path / "out"), option, value]) == 2
    assert "is no amount" in capfd.readouterr().err


# What a spreadsheet would run

ARMED = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-x", "\uff1d1+1", "\uff20a", "\ufe66x", " =1", "\u200b=1", "\ufeff@x", "\t=1"]


@pytest.mark.parametrize("text", ARMED)
def test_what_a_spreadsheet_would_run_is_disarmed_in_headers_and_cells(text):
    assert unarmed(text) == f"'{text}"
    header, row, _ = csv_text((Column(text, text), Column("b", "b")), [{text: text, "b": "1"}]).split("\n")
    assert header.lstrip('"').startswith("'") and row.startswith("'")


@pytest.mark.parametrize("text", ["a=1", "x@y", "1-2", "", "hu_3d", "Kernel B30", "\u00e4"])
def test_other_texts_stay_as_they_are(text):
    assert unarmed(text) == text


def test_the_header_of_the_cohort_is_disarmed_as_its_cells(tmp_path, files):
    header = "case_id,ct,ct_segmentation,\"=cmd|' /C calc'!A0\",@SUM(1),\uff1d1+1,plain"
    run_batch(manifest(files, ["case,ct.nii.gz,mask.seg.nrrd,=1,\uff0b1,-2.5,x"], header), tmp_path / "out", workers=0)
    with open(tmp_path / "out" / "cohort.csv", newline="", encoding="utf-8") as file:
        names, cells = list(csv.reader(file))
    assert names[1:5] == ["'=cmd|' /C calc'!A0", "'@SUM(1)", "'\uff1d1+1", "plain"]
    assert cells[1:5] == ["'=1", "'\uff0b1", "-2.5", "x"]


def test_statistics_of_wild_numbers_and_names_say_nothing_on_standard_error(tmp_path, capfd):
    pytest.importorskip("statsmodels", reason="the extra cohort is absent: statistics are NOT tested")
    name = "=" + "x" * 300
    rows = [f"p{n},{n % 2},{1 + n / 100:.3f}e99,{n * 7 % 11}" for n in range(40)]
    (tmp_path / "c.csv").write_text("\n".join([f"case_id,fracture,vbq,{name}", *rows, ""]))
    status = cli.main(
        ["cohort", str(tmp_path / "c.csv"), "--outcome", "fracture", "--measures", f"vbq,{name}", "--output", str(tmp_path / "o")]
    )
    assert status == 0 and capfd.readouterr().err == ""
    for path in (tmp_path / "o").glob("*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            assert all(unarmed(cell) == cell or _is_number(cell) for row in csv.reader(file) for cell in row), path


def _is_number(text: str) -> bool:
    try:
        return bool(float(text)) or True
    except ValueError:
        return False


# A patient's names

NAME = "MUELLER^HANS"
WORDS = ("mueller", "hans", "19450508", "geheim")


def planted(folder: Path, edit=lambda n, dataset: None) -> Path:
    """A series with a name in every text tag, in private ones and in sequences."""
    texts = dict(
        PatientName=NAME, PatientID="GEHEIM123", PatientBirthDate="19450508", OtherPatientNames="HANS^MUELLER", Manufacturer="Hans Mueller",
        ManufacturerModelName="MUELLER^HANS", ConvolutionKernel=["B30 MUELLER", "HANS"], SeriesDescription="Mueller Hans sag", StudyDescription="Hans",
        ProtocolName="hans", BodyPartExamined="MUELLER", InstitutionName="Klinik Mueller", StationName="HANS", OperatorsName="Hans^M",
        ReferringPhysicianName="Mueller^Hans", ImageComments="Hans Mueller 19450508", ScanOptions="HANS", ScanningSequence="SE", SequenceName="hans",
        ContrastBolusAgent="Mueller", RequestedProcedureDescription="Hans", AdditionalPatientHistory="Mueller", PatientComments="geheim",
        DeviceSerialNumber="GEHEIM", SoftwareVersions="Hans", ImageType=["ORIGINAL", "PRIMARY", "MUELLER"], AccessionNumber="GEHEIM9", KVP=120,
    )  # fmt: skip
    datasets = dicom_makers.slices(ARRAY, CT_GRID, "CT", intercept=-1024, **texts)
    for n, dataset in enumerate(datasets):
        dataset.RequestAttributesSequence = dicom_makers.item(ScheduledProcedureStepDescription="Hans Mueller", RequestedProcedureID="GEHEIM")
        dataset.add_new(0x00290010, "LO", "MUELLER PRIVATE")
        dataset.add_new(0x00291010, "LO", "Hans Mueller")
        dataset.add_new(0x00291011, "UN", b"MUELLER^HANS 19450508 ")
        edit(n, dataset)
    return dicom_makers.classic(folder, datasets)


def assert_nameless(*texts: bytes) -> None:
    for text in texts:
        low = text.lower()
        assert not [word for word in WORDS if word.encode() in low], [low[max(low.find(w.encode()) - 80, 0) :][:200] for w in WORDS if w.encode() in low]


def test_no_output_names_a_patient_wherever_the_name_was_written(tmp_path, capfd):
    folder = tmp_path / "MUELLER^HANS_19450508"
    planted(folder / "ct of hans")
    masks = {"L2 body": MASK, "MUELLER HANS": np.roll(MASK, 4, 0) & ~MASK}
    segmentation_file(folder / "Hans Mueller.seg.nrrd", masks, CT_GRID)
    done = measure(capfd, tmp_path / "out", "--ct", folder / "ct of hans", "--ct-segmentation", folder / "Hans Mueller.seg.nrrd", report=True)
    assert done.status == 0, done.err
    assert len(done.files) >= 3  # tables, JSON and what else a case writes
    assert_nameless(*all_bytes(tmp_path / "out").values())
    rows = [f"case,{folder / 'ct of hans'},{folder / 'Hans Mueller.seg.nrrd'}"]
    run_batch(manifest(tmp_path, rows), tmp_path / "batch", workers=0)
    assert_nameless(*all_bytes(tmp_path / "batch").values())


def _cut(folder: Path) -> str:
    shutil.copy(folder / "ct.nii.gz", folder / "HANS_MUELLER.nii.gz")
    (folder / "HANS_MUELLER.nii.gz").write_bytes((folder / "ct.nii.gz").read_bytes()[:-50])
    return f"{folder / 'HANS_MUELLER.nii.gz'},{folder / 'mask.seg.nrrd'}"


def _slice(folder: Path) -> str:
    planted(folder / "Hans" / "MUELLER 1", lambda n, dataset: setattr(dataset, "BitsAllocated", 12) if n == 3 else None)
    return f"{folder / 'Hans' / 'MUELLER 1'},{folder / 'mask.seg.nrrd'}"


def _uneven(folder: Path) -> str:
    series = planted(folder / "series of hans")
    for n, path in enumerate(sorted(series.iterdir())):
        path.rename(path.with_name(f"MUELLER{n:03}.dcm"))
    (series / "MUELLER007.dcm").unlink()
    return f"{series},{folder / 'mask.seg.nrrd'}"


def _several(folder: Path) -> str:
    planted(folder / "exam" / "a")
    planted(folder / "exam" / "b", lambda n, dataset: setattr(dataset, "SeriesInstanceUID", "1.9"))
    return f"{folder / 'exam'},{folder / 'mask.seg.nrrd'}"


def _segment(folder: Path) -> str:
    segmentation_file(folder / "Hans.seg.nrrd", {"MUELLER HANS": MASK, "geheim": np.roll(MASK, 4, 0) & ~MASK}, CT_GRID)
    return f"{folder / 'ct.nii.gz'},{folder / 'Hans.seg.nrrd'}"


def _labels(folder: Path) -> str:
    image_file(folder / "hans_labels.nii.gz", (MASK * 3).astype(np.uint8), CT_GRID)
    (folder / "mueller.csv").write_text("value,name\n3,Hans Mueller\n3,geheim\n")
    return f"{folder / 'ct.nii.gz'},{folder / 'hans_labels.nii.gz'}@{folder / 'mueller.csv'}"


def _masks(folder: Path) -> str:
    for name in ("Hans Mueller", "L2"):
        image_file(folder / "masks of hans" / f"{name}.nii.gz", (MASK * 1).astype(np.uint8), CT_GRID)
    (folder / "masks of hans" / "L2.nii.gz").write_bytes(b"geheim" * 100)
    return f"{folder / 'ct.nii.gz'},{folder / 'masks of hans'}"


@pytest.mark.parametrize("fault", [_cut, _slice, _uneven, _several, _segment, _labels, _masks])
def test_a_failure_names_the_case_and_the_column_and_no_file(tmp_path, files, capfd, fault):
    folder = tmp_path / "MUELLER^HANS_19450508"
    shutil.copytree(files, folder)
    study = manifest(tmp_path, [f"p1,{fault(folder)}"])
    capfd.readouterr()
    assert cli.main(["batch", str(study), "--output", str(tmp_path / "out"), "--workers", "1"]) == 1
    printed, said = capfd.readouterr()
    (sentence,) = failures(tmp_path / "out").values()
    assert_nameless(sentence.encode(), printed.encode(), said.encode(), *all_bytes(tmp_path / "out").values())
    assert str(tmp_path) not in printed + sentence and "/" not in sentence.replace("CT/MR", "")
    assert "ct" in sentence.split(" ")[0].lower() or "ct" in sentence.lower()


@pytest.mark.parametrize("name", ["cut", "mask", "series", "holds", "not"])
def test_a_file_named_like_a_word_leaves_the_sentence_whole(tmp_path, files, name):
    (files / f"{name}.nii.gz").write_bytes((files / "ct.nii.gz").read_bytes()[:-50])
    run_batch(manifest(files, [f"case,{name}.nii.gz,mask.seg.nrrd"]), tmp_path / "out", workers=0)
    assert failures(tmp_path / "out")["case"] == "ct is cut short (its compressed data end too early): copy or export it again."


@needs_proc
def test_a_disk_that_is_full_is_a_failure_without_its_path(tmp_path, files, monkeypatch):
    force = os.fsync

    def full(file):
        if "case" in os.readlink(f"/proc/self/fd/{file}").rsplit("/", 1)[-1]:
            raise OSError(errno.ENOSPC, "No space left on device")
        force(file)

    monkeypatch.setattr(writing.os, "fsync", full)
    run_batch(manifest(files, ["case,ct.nii.gz,mask.seg.nrrd"]), tmp_path / "out", workers=0)
    (sentence,) = failures(tmp_path / "out").values()
    assert "No space left" in sentence and str(tmp_path) not in sentence and sentence.startswith("The output folder")


@pytest.mark.parametrize(
    "value, shown",
    [("SIEMENS", "SIEMENS"), ("GE MEDICAL SYSTEMS", "GE MEDICAL SYSTEMS"), ("Biograph40_mCT 4R", "Biograph40_mCT 4R"), ("Br38f\\3", "Br38f 3"),
     ("MUELLER^HANS", None), ("Hans", None), ("scanner of MUELLERHANS", None), ("x" * 65, None), ("<script>", None), ("M\u00fcller", None), ("", None)],
)  # fmt: skip
def test_technical_texts_come_out_in_technical_letters_alone(value, shown):
    header = pydicom.Dataset()
    header.PatientName, header.Manufacturer = NAME, value
    if "\\" in value:
        header.Manufacturer = value.replace("\\", " ")
    assert technical_text(header, "Manufacturer") == shown
