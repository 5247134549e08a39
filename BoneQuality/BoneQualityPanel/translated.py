"""Sentences of the library as the panel shows them: looked up in the catalog of translations by the whole sentence."""

from string import Formatter

from slicer.i18n import translate

CONTEXT = "BoneQuality"


def translated(sentence, **values):
    """A sentence or title of the library in the user's language; values take the places of its {names} after translation.

    As with `slicer.i18n.tr`, a translation with other names than the sentence's does not count.
    """
    if not sentence:
        return sentence
    found = translate(CONTEXT, sentence)
    if not values:
        return found
    return (found if _names(found) == _names(sentence) else sentence).format(**values)


def _names(sentence):
    return {name for _before, name, *_format in Formatter().parse(sentence) if name is not None}
