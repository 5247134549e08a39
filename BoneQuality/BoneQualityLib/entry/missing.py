"""What is missing or contradictory among the inputs of a case: each said once, for every way in.

A sentence names inputs as ``{ct_segmentation}``; the command line, a manifest, a panel and a console put in their own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .names import INPUTS, READING, VOLUMES


@dataclass(frozen=True)
class Fault:
    """about: the input, by its name in INPUTS or READING. sentence: with names of inputs in braces."""

    about: str
    sentence: str

    def said(self, words: Mapping[str, str]) -> str:
        """The sentence in the words of a way in."""
        return self.sentence.format_map(words)


_NAMES = (*(item.name for item in INPUTS), *READING)
#: The words of a command line, of a manifest or a console, and of a panel.
OPTIONS = {name: "--" + name.replace("_", "-") for name in _NAMES}
COLUMNS = {name: name for name in _NAMES}
TITLES = {item.name: f"the {item.title}" for item in INPUTS} | {name: f"the {name.replace('_', ' ')}" for name in READING}


def faults_of(counts: Mapping[str, int]) -> list[Fault]:
    """The faults of a case's inputs. counts: how many there are of each, by the names of INPUTS and READING."""
    there, found = {name for name, count in counts.items() if count}, []
    if {"label_scheme", "labels"} <= there:
        found.append(Fault("labels", "Give {label_scheme} or {labels}, not both."))
    if counts.get("series", 0) > 1:
        found.append(Fault("series", "{series} is given several times: name the series with its folder, as DIR@UID."))
    if not there & {item.name for item in INPUTS}:
        found.append(Fault(VOLUMES[0], "Nothing to measure: give {ct}, {t1} or {axial_mr}."))
    for item in INPUTS:
        if counts.get(item.name, 0) > 1 and not item.several:
            found.append(Fault(item.name, f"There are several images for {{{item.name}}}: give one alone."))
        volumes = [name for name in item.of if name in there]
        if volumes and item.name not in there:
            what = _title(volumes[0])
            found.append(
                Fault(item.name, f"The {what} needs a segmentation: give {{{item.name}}} too, or leave out {{{volumes[0]}}}.")
            )
        if item.of and item.name in there and not volumes:
            others = " or ".join(f"{{{name}}}" for name in item.of)
            found.append(Fault(item.of[0], f"The {item.title} needs its image: give {others} too, or leave out {{{item.name}}}."))
    for one, other in (("fat", "water"), ("water", "fat")):
        if counts.get(one, 0) > counts.get(other, 0):
            found.append(
                Fault(other, f"The fat fraction needs a fat and a water image: give {{{other}}} too, or leave out {{{one}}}.")
            )
    return found


def _title(name: str) -> str:
    return next(item.title for item in INPUTS if item.name == name)
