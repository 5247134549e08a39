"""Sentences of the library as the panel shows them: looked up in the catalog of translations by the whole sentence."""

from slicer.i18n import translate

CONTEXT = "BoneQuality"


def translated(sentence, **values):
    """A sentence or title of the library in the user's language; values take the places of its {names} after translation."""
    found = translate(CONTEXT, sentence) if sentence else sentence
    return found.format(**values) if values else found
