from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class Sentence(str):
    """A sentence with its values filled in: a text that also knows its template with {names} and the values, for whoever translates.

    Values that are sentences or words are given as ``Sentence`` too, or as the error that says one; others are names and numbers,
    the same in every language.

    >>> Sentence("no {slice} slice: {cause}", slice=Sentence("upper"), cause=Sentence("the body is too flat"))
    """

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, /, **values: object) -> Sentence:
        if isinstance(template, Sentence):
            return template
        values = {name: str(value) if isinstance(value, Exception) else value for name, value in values.items()}
        sentence = super().__new__(cls, template.format(**values) if values else template)
        sentence.template, sentence.values = template, values
        return sentence

    def __str__(self) -> str:
        return self  # str() of a sentence, or of the error that says it, forgets nothing

    def __reduce__(self):
        return _again, (self.template, self.values)

    def parts(self) -> list:
        """The template and the values as plain data, of which `of_parts` makes the sentence again."""
        return [self.template, {name: value.parts() if isinstance(value, Sentence) else value for name, value in self.values.items()}]

    @classmethod
    def of_parts(cls, parts: list) -> Sentence:
        template, values = parts
        return cls(template, **{name: cls.of_parts(value) if isinstance(value, list) else value for name, value in values.items()})

    @classmethod
    def joined(cls, parts: Iterable[str], between: str = "; ") -> Sentence:
        """Sentences or words one after the other."""
        parts = [cls(part) for part in parts]
        if len(parts) < 2:
            return parts[0] if parts else cls("")
        values = {f"part{number}": part for number, part in enumerate(parts, 1)}
        return cls(between.join(f"{{{name}}}" for name in values), **values)


def _again(template: str, values: dict[str, object]) -> Sentence:
    return Sentence(template, **values)


class BoneQualityError(ValueError):
    """A fault of the input, said in one sentence that names the node, file or segment and the remedy.

    sentence, values: as of `Sentence`. remedies: the names of those arguments of what was called that are the remedy; the command
    line names its options for them.
    """

    def __init__(self, sentence: str = "", /, *more: str, remedies: tuple[str, ...] = (), **values: object):
        super().__init__(Sentence(sentence, **values), *more)
        self.remedies = remedies


class NotMeasured(BoneQualityError):
    """One value cannot be taken; the others can. The sentence is the reason that stands in the empty value's place."""

    def __init__(self, reason: str, flag: str = "", /, **values: object):
        super().__init__(reason, **values)
        self.flag = flag


class Ambiguous(BoneQualityError):
    """A fault with a list to choose from. The list holds texts of the input, which may name a patient: it is shown to the person
    who asked, and never written to a file."""

    def __init__(self, sentence: str, listing: str, /, **values: object):
        super().__init__(sentence, listing, **values)
        self.listing = listing

    def __str__(self) -> str:
        return self.args[0]


def sentence_of(error: BaseException) -> str:
    """What a person is told of any error, in one line."""
    if isinstance(error, BoneQualityError):
        line = " ".join(str(error).split())
        return str(error) if str(error) == line else line
    if isinstance(error, MemoryError):
        return "Not enough memory; close other programs or use a smaller image."
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'} cannot be used ({error.strerror}); check the path, its permissions and its disk."
    # a fault of ours: still one line, with what a report of it needs
    return f"Unexpected {type(error).__name__} in {_innermost(error.__traceback__)} ({' '.join(str(error).split())}); please report it."


def sentence_for_the_person(error: BaseException) -> str:
    """The same in a terminal or a dialog, where only the person sees it who asked: with the list to choose from."""
    listing = f" They are: {error.listing}." if isinstance(error, Ambiguous) else ""
    return " ".join(f"{sentence_of(error)}{listing}".split())


def _innermost(traceback) -> str:
    while traceback.tb_next:
        traceback = traceback.tb_next
    return f"{Path(traceback.tb_frame.f_code.co_filename).name} line {traceback.tb_lineno}"
