"""Hundreds of cases from a manifest: each measured by itself and written like one case, then the tables of all of them."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .. import __version__
from ..columns import CASE_COLUMNS, FAILURE_COLUMNS, unarmed
from ..entry.inputs import CaseInputs
from ..entry.outside_names import name_by_column, without_outside_names
from ..errors import BoneQualityError, Sentence, sentence_of
from ..files.csv_tables import csv_line, csv_rows, csv_text
from ..files.cutoffs import read_cutoffs
from ..files.folder_lock import only_writer
from ..files.writing import remove_left_over_parts, write_whole
from ..outputs.document import CASE, REPORT, output_path, output_paths
from ..outputs.page_templates import check_folder
from .index_page import PAGE, THUMBNAILS, done_row, failed_row, index_page
from .manifest import Manifest, Row, read_manifest
from .review import COLUMNS as REVIEW_COLUMNS
from .review import Review, read_review
from .workers import ClusterLost, Limits, WorkerDied, cores, in_cluster, in_processes, in_turn

#: What is known of how a result came about, by case: not a result, so out of sight. Without it, or where it differs from what would
#: be measured now, a case is measured again.
RECORDS = ".batch"
#: The lock's file among the records; no case id begins so.
LOCK = ".lock"
#: The tables of all cases; one without a row of any case is left out, but for the first and the last.
TABLES = ("cohort.csv", "levels.csv", "muscles.csv", "failures.csv")
Progress = Callable[[float, str], None]
Failed = Callable[[str, "Failure"], None]


@dataclass(frozen=True)
class Pages:
    """What is written for people to look through.

    reports: one for every case, with a thumbnail on the index page. templates: a folder with a person's own. review: a CSV file of
    the marks that a reviewer gave on the index page.
    """

    reports: bool = True
    templates: str | None = None
    review: str | None = None


@dataclass(frozen=True)
class Job:
    """A case, the folder for its files, and which of them are wanted."""

    inputs: CaseInputs
    folder: Path
    pages: Pages = Pages()

    @property
    def case_id(self) -> str:
        return self.inputs.facts.case_id

    @property
    def paths(self) -> list[Path]:
        """All files that a case may have."""
        return [*output_paths(self.folder, self.case_id), self.folder / self.thumbnail]

    @property
    def thumbnail(self) -> Path:
        """Within the folder."""
        return Path(THUMBNAILS) / f"{self.case_id}.jpg"

    @property
    def record(self) -> Path:
        return self.folder / RECORDS / self.case_id

    def is_done(self) -> bool:
        """Whether the files are there and were measured from these inputs, as they are now, in this way."""
        try:
            wanted = output_paths(self.folder, self.case_id, muscles=False, report=self.pages.reports)
            return all(path.exists() for path in wanted) and self.record.read_text() == self.fingerprint()
        except OSError:
            return False

    def fingerprint(self) -> str:
        """Stands for all that the result depends on; files by their size and time. Raises OSError where one is not there."""
        stats = [(path, os.stat(path)) for path in self.inputs.files()]
        files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
        content = [__version__, asdict(self.inputs), files]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Failure:
    """Why there is no result: stage is read, measure, write or process."""

    stage: str
    sentence: str


@dataclass
class Batch:
    """What became of the cases: ids of those that are done (``kept``: how many were so before), why others are not, and the tables.

    stopped: why the run ended before all cases were tried, "" where it did not.
    """

    done: set[str] = field(default_factory=set)
    failures: dict[str, Failure] = field(default_factory=dict)
    kept: int = 0
    tables: list[str] = field(default_factory=list)
    stopped: str = ""


def measure_job(job: Job) -> Failure | None:
    """Measure one case and write its files: what every worker does. None where that was done.

    What an earlier try left is replaced; a cluster runs a job again whose result was lost with a worker.
    """
    stage = "read"
    try:
        if job.is_done():
            return None
        for path in (job.record, *reversed(job.paths)):  # the JSON before the tables: it marks a case as done
            path.unlink(missing_ok=True)
        fingerprint = job.fingerprint()
        with job.inputs.nodes() as nodes:
            stage = "measure"
            name_by_column(nodes, job.inputs)
            result = job.inputs.measure(nodes)
        stage = "write"
        write_whole({job.record: fingerprint}, overwrite=True)
        if job.pages.reports:
            others = {job.thumbnail: result.thumbnail()} if result.pictures else {}
            result.write_files(job.folder, templates=job.pages.templates, others=others)
        else:
            result.write_files(job.folder, report=False)
        return None
    except Exception as error:
        return Failure(stage, without_outside_names(sentence_of(error), job.inputs, job.folder))


def run_batch(
    manifest: str | Path,
    folder: str | Path,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    cutoffs: str | Path | None = None,
    progress: Progress = lambda share, text: None,
    limits: Limits = Limits(),
    pages: Pages = Pages(),
    failed: Failed = lambda case_id, failure: None,
) -> Batch:
    """Measure every case of a manifest into ``folder``, and write cohort.csv, levels.csv, muscles.csv, failures.csv and index.html.

    workers: processes on this machine, by default one for every core; 0 measures in this process, as inside Slicer. scheduler:
    the address of a Dask scheduler instead. resume: keep the cases that are done and unchanged; overwrite: measure all again.
    progress: called between cases; an exception from it stops, and what is done is kept. limits: time and memory of a case; a case
    that exceeds them is a failure. They need processes: with ``workers=0`` there are none.
    pages: what is written for people to look through. failed: called for each case that fails, before ``progress``.

    Raises ManifestFaults before the first case where the manifest has any, BoneQualityError where results are there already or
    another batch is writing to the folder.

    >>> batch = run_batch("study/manifest.csv", "results", workers=4)
    >>> batch.failures
    {'case-17': Failure(stage='read', sentence='ct is cut short (...): copy or export it again.')}
    """
    if cutoffs:
        read_cutoffs(cutoffs)
    cases, folder = read_manifest(manifest, cutoffs), Path(folder).absolute()
    jobs = [Job(row.inputs, folder, pages) for row in cases.rows]
    _check_names(jobs)
    if pages.templates:
        check_folder(pages.templates)
    reviews = read_review(pages.review, {job.case_id for job in jobs}) if pages.review else None
    with only_writer(folder, folder / RECORDS / LOCK):
        _check_folder(jobs, folder, resume, overwrite)
        remove_left_over_parts(folder)
        for job in jobs if overwrite else ():
            job.record.unlink(missing_ok=True)
        batch = Batch()
        todo = [job for job in jobs if not job.is_done()]
        batch.done = {job.case_id for job in jobs} - {job.case_id for job in todo}
        batch.kept = len(batch.done)
        with contextlib.closing(_results(todo, workers, scheduler, limits)) as results:
            _collect(results, todo, batch, progress, failed)
        batch.failures = {job.case_id: batch.failures[job.case_id] for job in jobs if job.case_id in batch.failures}
        try:
            _write_tables(cases, folder, batch, reviews)
            _write_index(cases, folder, batch, reviews or {})
        except BoneQualityError as error:
            raise BoneQualityError(
                "{error} Finished cases are kept; after that, run the batch again and keep what is done.", remedies=("resume",), error=error
            ) from None
    return batch


def _results(todo: list[Job], workers: int | None, scheduler: str | None, limits: Limits) -> Iterator[tuple]:
    """The jobs with what came of them, measured where they are to be measured."""
    if scheduler:
        return in_cluster(measure_job, todo, scheduler, limits)
    if workers == 0:
        return in_turn(measure_job, todo)
    return in_processes(measure_job, todo, min(workers or cores(), len(todo)), limits)


def _collect(results: Iterator[tuple], todo: list[Job], batch: Batch, progress: Progress, failed: Failed) -> None:
    """Note what became of each case."""
    try:
        _note(results, len(todo), batch, progress, failed)
    except ClusterLost as lost:
        batch.stopped = sentence_of(lost)
        for job in todo:
            if job.is_done():  # its result did not come back any more
                batch.done.add(job.case_id)
            elif job.case_id not in batch.failures:
                batch.failures[job.case_id] = Failure(
                    "process", "The cluster was lost before the case was measured; run the batch again and keep what is done."
                )


def _note(results: Iterator[tuple], count: int, batch: Batch, progress: Progress, failed: Failed) -> None:
    begin = time.monotonic()
    progress(0.0, Sentence("{count} cases to measure, {kept} done before", count=count, kept=batch.kept))
    for number, (job, failure) in enumerate(results, 1):
        if isinstance(failure, WorkerDied):
            failure = Failure("process", str(failure))
        if failure:
            batch.failures[job.case_id] = failure
            failed(job.case_id, failure)
        else:
            batch.done.add(job.case_id)
        seconds = time.monotonic() - begin
        left = _duration(seconds / number * (count - number))
        last = "{case} failed" if failure else "{case} measured"
        sentence = "{number} of {count} cases, {failed} failed, " + last + ", {rate:.2g} a second, {left} left"
        values = dict(number=number, count=count, failed=len(batch.failures), case=job.case_id, rate=number / seconds, left=left)
        progress(number / count, Sentence(sentence, **values))


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _check_names(jobs: list[Job]) -> None:
    """Raise BoneQualityError for a case whose report would take the place of the batch's own page."""
    name = Path(PAGE).stem
    if any(job.case_id.lower() == name for job in jobs):
        raise BoneQualityError("The case id {name} names the page of all cases; give that case another id.", name=name)


def _check_folder(jobs: list[Job], folder: Path, resume: bool, overwrite: bool) -> None:
    """Raise BoneQualityError where files are there that this run may not replace."""
    try:
        there, recorded = set(os.listdir(folder)), set(os.listdir(folder / RECORDS)) - {LOCK}
    except OSError as error:
        raise BoneQualityError(
            "The folder {folder} cannot be written ({reason}); choose another folder or make room.",
            folder=folder,
            reason=error.strerror,
        ) from None
    if overwrite:
        return
    ours = {path.name for job in jobs for path in job.paths if job.case_id in recorded} | set((*TABLES, PAGE) if recorded else ())
    wanted = {path.name for job in jobs for path in job.paths} | {*TABLES, PAGE}
    taken = sorted(there & wanted - (ours if resume else set()))
    if taken:
        sentence = "{path} is there already; choose another folder, "
        sentence += "allow overwriting." if resume else "keep what is done, or allow overwriting."
        raise BoneQualityError(sentence, path=folder / taken[0], remedies=("overwrite",) if resume else ("resume", "overwrite"))


def _write_index(cases: Manifest, folder: Path, batch: Batch, reviews: dict[str, Review]) -> None:
    """The page of all cases, sorted as the manifest."""

    def rows() -> Iterator[dict]:
        for row in cases.rows:
            if row.case_id in batch.done:
                (values,) = csv_rows(output_path(folder, row.case_id, CASE), "case file")
                there = [(folder / path).exists() for path in (f"{row.case_id}{REPORT}", f"{THUMBNAILS}/{row.case_id}.jpg")]
                yield done_row(values, *there)
            elif row.case_id in batch.failures:
                failure = batch.failures[row.case_id]
                yield failed_row(row.case_id, failure.stage, failure.sentence)

    write_whole({folder / PAGE: index_page(rows(), reviews)}, overwrite=True)
    batch.tables.append(PAGE)


def _write_tables(cases: Manifest, folder: Path, batch: Batch, reviews: dict[str, Review] | None) -> None:
    """The tables of all cases, sorted as the manifest; they are never in memory as a whole."""
    done = [row for row in cases.rows if row.case_id in batch.done]
    failed = [dict(case_id=case_id, **vars(failure)) for case_id, failure in batch.failures.items()]
    joined = (_joined(done, folder, table) for table in ("levels", "muscles"))
    texts = [_cohort(cases, done, folder, reviews), *joined, csv_text(FAILURE_COLUMNS, failed)]
    for name, text in zip(TABLES, texts):
        first = next(text := iter([text] if isinstance(text, str) else text), None)
        if first is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_whole({folder / name: itertools.chain([first], text)}, overwrite=True)
            batch.tables.append(name)


def _cohort(cases: Manifest, done: list[Row], folder: Path, reviews: dict[str, Review] | None) -> Iterator[str]:
    """Lines of one row per case: its id, the manifest's columns as they are, those of CASE_case.csv, and a reviewer's marks if given."""
    own = [column.name for column in CASE_COLUMNS if column.name != "case_id"]
    marks = REVIEW_COLUMNS[1:] if reviews is not None else ()
    carried = [name for name in cases.carried if name not in marks]
    yield csv_line(["case_id", *map(unarmed, carried), *own, *marks])
    for row in done:
        (values,) = csv_rows(output_path(folder, row.case_id, CASE), "case file")
        review = reviews.get(row.case_id, Review("", "")) if reviews is not None else ()
        cells = [*(_unarmed(row.cells[name]) for name in carried), *(values[name] for name in own), *map(_unarmed, review)]
        yield csv_line([row.case_id, *cells])


def _joined(done: list[Row], folder: Path, table: str) -> Iterator[str]:
    """The lines of every case's table of one kind, under one header; none where no case has it."""
    header = None
    for row in done:
        path = folder / f"{row.case_id}_{table}.csv"
        if not path.exists():
            continue
        with path.open(encoding="utf-8", newline="") as file:
            first = next(file)
            if header is None:
                yield (header := first)
            elif first != header:
                raise BoneQualityError("{path} has other columns than the cases before; measure all cases again.", path=path)
            yield from file


def _unarmed(cell: str) -> str:
    """A cell as it is, but for one that a spreadsheet would run as a formula."""
    try:
        float(cell)
    except ValueError:
        return unarmed(cell)
    return cell
