from __future__ import annotations

from pathlib import Path


class BoneQualityError(ValueError):
    """A fault of the input, said in one sentence that names the node, file or segment and the remedy."""


class NotMeasured(BoneQualityError):
    """One value cannot be taken; the others can. The sentence is the reason that stands in the empty value's place."""

    def __init__(self, reason: str, flag: str = ""):
        super().__init__(reason)
        self.flag = flag


class Ambiguous(BoneQualityError):
    """A fault with a list to choose from. The list holds texts of the input, which may name a patient: it is shown to the person
    who asked, and never written to a file."""

    def __init__(self, sentence: str, listing: str):
        super().__init__(sentence, listing)
        self.listing = listing

    def __str__(self) -> str:
        return self.args[0]


def sentence_of(error: BaseException) -> str:
    """What a person is told of any error, in one line."""
    if isinstance(error, BoneQualityError):
        return " ".join(str(error).split())
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
