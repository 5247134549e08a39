"""A first manifest from a folder tree: what names and DICOM tags say, and a remark wherever a person has to decide."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..anatomy.schemes import SCHEMES
from ..anatomy.structure import Segment
from ..anatomy.vocabulary import identify
from ..columns import unarmed
from ..entry.names import INPUTS
from ..errors import BoneQualityError
from ..files.checks import EXTENSIONS, SEGMENTATION_EXTENSIONS, stem
from ..files.csv_tables import csv_line
from ..files.dicom_images import EXTENSIONS as DICOM_EXTENSIONS
from ..files.dicom_images import is_dicom
from ..files.dicom_tags import read_tags
from ..files.writing import write_whole
from ..parameters import T1_LONGEST_TE_MS, T1_LONGEST_TR_MS

MASK_WORDS = set("seg segmentation segmentations dseg label labels labelmap mask masks msk bodies vertebrae muscle muscles".split())
SCHEME_WORDS = {name: name for name in SCHEMES} | {"totalseg": "totalsegmentator"}
MASK_WORDS |= set(SCHEME_WORDS)
SUBJECT, SESSION = re.compile(r"(sub-[A-Za-z0-9]+)(?=_|$)"), re.compile(r"(ses-[A-Za-z0-9]+)(?=_|$)")
ROLE_WORDS = {word: item.name for item in INPUTS for word in item.words}
#: What a file's name begins with before it says what the file is: the case, where cases lie side by side.
BEFORE_KIND = re.compile(rf"(?i)(.*?)(?:(?:^|[^a-z0-9]+)(?:{'|'.join(sorted(MASK_WORDS | set(ROLE_WORDS)))})(?![a-z0-9]).*)?$")
TITLES = {item.name: item.title for item in INPUTS}
MASKS_OF = {volume: item.name for item in INPUTS for volume in item.of}


@dataclass(frozen=True)
class _Found:
    """A file or folder: to what case it belongs, what it is taken for, and the words of its name."""

    path: Path
    case: str
    words: frozenset[str]
    is_mask: bool
    is_dicom: bool

    @property
    def roles(self) -> list[str]:
        return sorted({ROLE_WORDS[word] for word in self.words & set(ROLE_WORDS)})

    @property
    def scheme(self) -> str:
        return next((SCHEME_WORDS[word] for word in sorted(self.words & set(SCHEME_WORDS))), "")


def draft_manifest(folder: str | Path, output: str | Path | None = None, overwrite: bool = False) -> str:
    """Write a manifest of the cases in a folder tree: BIDS subjects, or one folder a case; returns what to tell the user.

    Columns: case_id, the files' columns, and ``remark``, which says what was unclear; nothing unclear is filled in without one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BoneQualityError("{folder} is not a folder; name the one that holds the cases.", folder=folder)
    output = Path(output) if output else folder / "manifest.csv"
    cases: dict[str, list[_Found]] = {}
    for found in _walk(folder):
        cases.setdefault(found.case, []).append(found)
    if not cases:
        raise BoneQualityError(
            "{folder} holds no image file and no DICOM folder; name the one that holds the cases.", folder=folder
        )
    columns, taken = ["case_id", *TITLES, "remark"], set()
    lines, remarks = [csv_line(columns)], 0
    for name in sorted(cases):
        row = _row(name, sorted(cases[name], key=lambda found: found.path), output.absolute().parent, taken)
        remarks += bool(row["remark"])
        lines.append(csv_line([row.get(column, "") for column in columns]))
    write_whole({output: "".join(lines)}, overwrite)
    return f"{len(cases)} case{'s' * (len(cases) > 1)}, {remarks} with a remark: read the column remark, and correct the rows.\nWritten: {output}"


def _walk(folder: Path):
    """Every image, DICOM folder and folder of masks, with its case."""
    above = {str(folder): frozenset([os.path.realpath(folder)])}
    for here, folders, names in os.walk(folder, followlinks=True):
        real = {name: os.path.realpath(os.path.join(here, name)) for name in folders if not name.startswith(".")}
        folders[:] = sorted(name for name in real if real[name] not in above[here])  # a link to a folder above it has no end
        above.update({os.path.join(here, name): above[here] | {real[name]} for name in folders})
        here, names = Path(here), sorted(name for name in names if not name.startswith("."))
        images = [name for name in names if name.lower().endswith(EXTENSIONS)]
        if _holds_dicom(here, names):
            yield _found(folder, here, is_dicom=True)
        if here != folder and len(images) > 1 and all(_is_structure(name) for name in images):
            yield _found(folder, here, is_mask=True)
        else:
            for name in images:
                yield _found(folder, here / name)


def _holds_dicom(here: Path, names: list[str]) -> bool:
    marked = [name for name in names if Path(name).suffix.lower() in DICOM_EXTENSIONS]
    return bool(marked) or any(is_dicom(here / name) for name in [name for name in names if "." not in name][:1])


def _is_structure(name: str) -> bool:
    """Whether a file is named like one structure, as in a folder with one file a structure."""
    return identify(Segment(stem(name), name, lambda: None)) is not None


def _found(folder: Path, path: Path, is_mask: bool = False, is_dicom: bool = False) -> _Found:
    parts = path.relative_to(folder).parts
    named = [*parts[:-1], stem(parts[-1])] if parts else [folder.name]
    subjects = [match for part in named for match in SUBJECT.findall(part)]
    sessions = [match for part in named for match in SESSION.findall(part)]
    words = frozenset(re.findall(r"[a-z0-9]+", " ".join(named[1:] if len(named) > 1 and not subjects else named).lower()))
    if subjects:
        case = "_".join([subjects[-1], *sessions[-1:]])
    elif len(named) > 1 or is_dicom or is_mask:
        case = named[0]
    else:
        case = BEFORE_KIND.match(named[0])[1] or named[0]
    is_mask = is_mask or path.name.lower().endswith(SEGMENTATION_EXTENSIONS) or (not is_dicom and bool(words & MASK_WORDS))
    return _Found(path, case, words, is_mask, is_dicom)


def _row(name: str, found: list[_Found], base: Path, taken: set[str]) -> dict[str, str]:
    """The cells of a case. A volume is filled in where one alone fits, masks where one volume alone can be theirs."""
    remarks: list[str] = []
    row = dict(case_id=_case_id(name, taken, remarks))
    volumes: dict[str, list[_Found]] = {}
    for each in (each for each in found if not each.is_mask):
        if role := _role_of_volume(each, remarks):
            volumes.setdefault(role, []).append(each)
    for role, several in volumes.items():
        if len(several) == 1:
            row[role] = _cell(several[0].path, base)
        else:
            remarks.append(f"several for {role}, choose one: {', '.join(_cell(each.path, base) for each in several)}")
    for each in (each for each in found if each.is_mask):
        columns = {MASKS_OF[role] for role in each.roles or volumes}
        if len(columns) != 1:
            remarks.append(f"{each.path.name} is not used: its name does not say which image it shows")
            continue
        column = columns.pop()
        if ";" in _cell(each.path, base):
            remarks.append(f"{each.path.name} is not used: its path holds a semicolon, which separates files; rename it")
            continue
        if not each.roles:
            remarks.append(f"{each.path.name} is taken for the {TITLES[column]}, as no other image is known; check that")
        row[column] = "; ".join(filter(None, [row.get(column), _with_scheme(each, _cell(each.path, base), remarks)]))
    missing = {MASKS_OF[role] for role in volumes} - set(row)
    missing |= {item.of[0] for item in INPUTS if item.of and item.name in row and not set(item.of) & (set(row) | set(volumes))}
    row["remark"] = "; ".join([*remarks, *(f"no {column}" for column in sorted(missing))])
    return row


def _case_id(name: str, taken: set[str], remarks: list[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:100] or "case"
    if plain != name:
        remarks.append(f"the id stands for {name}; make sure that it is no patient's name")
    if plain.lower() in taken:
        remarks.append("the id is there before; give another one")
    taken.add(plain.lower())
    return plain


def _role_of_volume(each: _Found, remarks: list[str]) -> str:
    """The input that an image is by its name, or by its DICOM tags; "" with a remark where neither tells."""
    name = each.path.name
    if len(each.roles) == 1:
        return each.roles[0]
    if each.roles or not each.is_dicom:
        remarks.append(
            f"{name} is not used: its name {'fits ' + ' and '.join(each.roles) if each.roles else 'does not say what it is'}"
        )
        return ""
    tags = read_tags(min(path for path in each.path.iterdir() if is_dicom(path)))
    if tags.get("modality") == "CT":
        return "ct"
    if (
        tags.get("modality") == "MR"
        and 0 < (tags.get("tr_ms") or 0) <= T1_LONGEST_TR_MS
        and 0 < (tags.get("te_ms") or 0) <= T1_LONGEST_TE_MS
    ):
        remarks.append(f"{name} is taken for T1 MRI by its repetition and echo time; check that")
        return "t1"
    remarks.append(
        f"{name} is not used: a DICOM series of modality {tags.get('modality') or 'unknown'}, whose folder's name says no more"
    )
    return ""


def _with_scheme(each: _Found, cell: str, remarks: list[str]) -> str:
    """A cell for masks: a label map with the scheme that its name says; that it needs one is said where there is none."""
    name = each.path.name
    if each.path.is_dir() or name.lower().endswith(SEGMENTATION_EXTENSIONS) or _is_structure(name):
        return cell
    if each.scheme:
        remarks.append(f"{name}: label scheme {each.scheme} by its name; check that")
        return f"{cell}@{each.scheme}"
    remarks.append(f"{name}: if it is a label map, add @ and its label scheme")
    return cell


def _cell(path: Path, base: Path) -> str:
    """A path as it stands in the manifest, which a spreadsheet may open: ./ before what it would run."""
    path = path.absolute()
    text = Path(os.path.relpath(path, base)).as_posix() if path.anchor == base.anchor else path.as_posix()
    return text if unarmed(text) == text else f"./{text}"
