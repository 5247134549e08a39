"""Sentences of the library as the panel shows them: looked up in the catalog of translations by the sentence without its values."""

from string import Formatter

from slicer.i18n import translate

from BoneQualityLib.errors import Sentence

CONTEXT = "BoneQuality"


def translated(sentence, **values):
    """A sentence or title of the library in the user's language; values take the places of its {names} after translation.

    A `Sentence` brings its values along; those of them that are sentences or words are translated too.

    As with `slicer.i18n.tr`, a translation with other names than the sentence's does not count.
    """
    if not sentence:
        return sentence
    if isinstance(sentence, Sentence):
        values = {name: translated(value) if isinstance(value, Sentence) else value for name, value in sentence.values.items()}
        sentence = sentence.template
    found = translate(CONTEXT, sentence)
    if not values:
        return found
    return (found if _names(found) == _names(sentence) else sentence).format(**values)


def _names(sentence):
    return {name for _before, name, *_format in Formatter().parse(sentence) if name is not None}
