"""What is asked of a cohort, in the words of the command line: column names, ``COLUMN=VALUE``, ``COLUMN[LEVEL]``, ``COLUMN>=VALUE``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from itertools import combinations

from ..errors import BoneQualityError, Sentence

#: Longer ones first, so that ``>=`` is not read as ``>``.
COMPARISONS = (">=", "<=", "!=", "=", ">", "<")
#: More imputed data sets than this change no digit (White, Stat Med 2011;30:377); fewer than two have no variance between them.
MOST_IMPUTED, FEWEST_IMPUTED = 200, 2


@dataclass(frozen=True)
class Adjuster:
    """A variable of the regressions; ``reference`` makes it categorical, with that level as the one compared to."""

    name: str
    reference: str | None = None


@dataclass(frozen=True)
class Comparison:
    """``COLUMN>=VALUE``: a rule that a case meets, or a cut-off."""

    column: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.column} {self.sign} {self.value}"

    @property
    def number(self) -> float:
        """The value as a number; nan where it is text."""
        try:
            return float(self.value)
        except ValueError:
            return math.nan


@dataclass(frozen=True)
class Question:
    """What is asked of a cohort.

    outcome: column, and ``value`` that counts as the event where the column is not yes/no; None where only methods or readers are
    compared. measures: columns to compare; by:
    column of subgroups; adjust: further variables of the regressions; facts: further rows of the group tables; time: column of the time to the event or to the end of
    follow-up; pairs: column that a matched case and its control have in common; readers: column of the reader. cutoffs: cut-offs
    besides published ones and Youden's; methods: two columns that measure the same; where: rules in the order they are applied;
    window: a time that separates early from late events; competing: column, and value, of a competing event such as death;
    impute: number of imputed data sets, 0 for complete cases only.
    """

    outcome: str | None
    value: str | None = None
    measures: tuple[str, ...] = ()
    by: str | None = None
    adjust: tuple[Adjuster, ...] = ()
    time: str | None = None
    pairs: str | None = None
    readers: str | None = None
    cutoffs: tuple[Comparison, ...] = ()
    methods: tuple[str, ...] = ()
    where: tuple[Comparison, ...] = ()
    window: float | None = None
    competing: tuple[str, str | None] | None = None
    impute: int = 0
    facts: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, outcome: str | None, measures="", by=None, adjust="", time=None, pairs=None, readers=None, cutoffs=(), methods="", where=(),
        window=None, competing=None, impute=0, facts="",
    ) -> Question:  # fmt: skip
        """From texts (or lists of texts) as the command line has them; raises BoneQualityError."""
        column, value = _with_value(outcome) if outcome else (None, None)
        terms = re.findall(r"[^,\[]+(?:\[[^\]]*\])?|\S", adjust) if isinstance(adjust, str) else adjust
        adjusters = tuple(dict.fromkeys(_adjuster(term.strip()) for term in terms if term.strip() not in ("", ",")))
        cuts = [part for text in _listed(cutoffs) for part in text.split(",") if part.strip()]
        question = cls(
            column, value, _names(measures), by, adjusters, time, pairs, readers, tuple(_cutoff(text) for text in cuts),
            _names(methods), tuple(_comparison(text, COMPARISONS) for text in _listed(where)), _time(window),
            _with_value(competing) if competing else None, _imputed(impute), _names(facts),
        )  # fmt: skip
        question._check_roles()
        question._check_times()
        return question

    def columns(self) -> list[str]:
        """Every column that is named, but for those of rules, which may leave no case that has them."""
        competing = self.competing and self.competing[0]
        named = [self.outcome, *self.measures, self.by, *(term.name for term in self.adjust), self.time, self.pairs, self.readers,
                 *(cut.column for cut in self.cutoffs), *self.methods, competing, *self.facts]  # fmt: skip
        return [name for name in dict.fromkeys(named) if name is not None]

    def _check_roles(self) -> None:
        """Raise BoneQualityError where a column is named for two things that it cannot be at once."""
        competing = self.competing and self.competing[0]
        roles = {"the case's id": ["case_id"], "outcome": [self.outcome], "time": [self.time], "pairs": [self.pairs],
                 "readers": [self.readers], "competing event": [competing]}  # fmt: skip
        adjusters = [term.name for term in self.adjust]
        levels = [term.name for term in self.adjust if term.reference]
        measured = [*self.measures, *(cut.column for cut in self.cutoffs), *self.methods]
        clashes = [*combinations((roles | {"by": [self.by], "a measure": measured}).items(), 2),
                   *((role, ("a variable to adjust for", adjusters)) for role in roles.items()),
                   (("a measure", measured), ("levels to adjust for", levels))]  # fmt: skip
        for (role, names), (other, others) in clashes:
            for name in sorted(set(names) & set(others) - {None}):
                sentence = "{name!r} is named as {role} and also as {other}; name it once."
                raise BoneQualityError(sentence, name=name, role=Sentence(role), other=Sentence(other))
        for name in adjusters:
            if adjusters.count(name) > 1:
                raise BoneQualityError("{name!r} is compared to two levels; name it once in what is adjusted for.", name=name)
        if self.methods and len(self.methods) != 2:
            said = "{count} columns are named as methods; name the two that measure the same, as a,b."
            raise BoneQualityError(said, count=len(self.methods), remedies=("methods",))

    def _check_times(self) -> None:
        if self.outcome is None and not (self.methods or self.readers):
            sentence = "No outcome is named; name one, or methods or readers to compare these alone."
            raise BoneQualityError(sentence, remedies=("outcome", "methods", "readers"))
        for name, given in (("window", self.window), ("competing event", self.competing)):
            if given is not None and self.time is None:
                raise BoneQualityError(
                    "A {name} needs the time to the event; name its column.", remedies=("time",), name=Sentence(name)
                )


#: Names of the arguments of `Question.of` beside the outcome; the command line has an option for each.
ASKED = tuple(item.name for item in fields(Question) if item.name not in ("outcome", "value"))


def _names(text) -> tuple[str, ...]:
    names = text.split(",") if isinstance(text, str) else text
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _listed(texts) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts or ())


def _with_value(text: str) -> tuple[str, str | None]:
    column, _, value = text.partition("=")
    return column.strip(), value.strip() or None


def _comparison(text: str, signs: tuple[str, ...]) -> Comparison:
    parts = re.fullmatch(r"\s*([^<>=!]+?)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*", text)
    if not parts or not parts[3] or parts[2] not in signs:
        raise BoneQualityError(
            "{text!r} cannot be read; write a column, one of {signs}, and a value, as age>=50.", text=text, signs=" ".join(signs)
        )
    return Comparison(*parts.groups())


def _cutoff(text: str) -> Comparison:
    cut = _comparison(text, (">=", "<="))
    if not math.isfinite(cut.number):
        raise BoneQualityError("The cut-off {text!r} is no finite number; write it as vbq>=3.0.", text=text)
    return cut


def _time(window) -> float | None:
    if window is None:
        return None
    if not (math.isfinite(float(window)) and float(window) > 0):
        raise BoneQualityError("The window is {window}; give a time above 0, in the units of the column of times.", window=window)
    return float(window)


def _imputed(impute) -> int:
    if impute and not FEWEST_IMPUTED <= int(impute) <= MOST_IMPUTED:
        sentence = "{impute} imputed data sets are asked for; give {fewest} to {most}."
        raise BoneQualityError(sentence, impute=impute, fewest=FEWEST_IMPUTED, most=MOST_IMPUTED)
    return int(impute or 0)


def _adjuster(term: str) -> Adjuster:
    parts = re.fullmatch(r"([^\[\]]+?)\s*(?:\[([^\]]+)\])?", term)
    if not parts:
        raise BoneQualityError("{term!r} is no adjusting variable; write for example age,sex,raterisk[Less].", term=term)
    return Adjuster(parts[1].strip(), parts[2] and parts[2].strip())
