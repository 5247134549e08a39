"""Sentences with values: the same text as ever, and what a translator needs beside it."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from BoneQualityLib import errors
from BoneQualityLib.cli_terminal import with_options
from BoneQualityLib.errors import BoneQualityError, NotMeasured, Sentence, sentence_of
from BoneQualityLib.scene.scene_case import SceneCase
from scene_cases import result, show_case

NESTED = Sentence("no {slice} slice: {cause}", slice=Sentence("upper"), cause=Sentence("{degrees:.0f} degrees off", degrees=12.6))


def test_a_sentence_is_its_text_and_knows_its_template():
    assert NESTED == "no upper slice: 13 degrees off" and json.dumps([NESTED]) == '["no upper slice: 13 degrees off"]'
    assert f"{NESTED}." == "no upper slice: 13 degrees off." and {NESTED: 1}["no upper slice: 13 degrees off"] == 1
    assert NESTED.template == "no {slice} slice: {cause}" and NESTED.values["cause"].values == {"degrees": 12.6}


@pytest.mark.parametrize(
    "again", [str, Sentence, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), lambda s: Sentence.of_parts(json.loads(json.dumps(s.parts())))]
)  # fmt: skip
def test_nothing_is_forgotten_where_it_is_handed_on(again):
    same = again(NESTED)
    assert same == NESTED and same.template == NESTED.template and same.values == NESTED.values
    assert isinstance(same.values["cause"], Sentence) and same.values["cause"].template == "{degrees:.0f} degrees off"


def test_an_error_says_its_sentence_with_what_belongs_to_it():
    assert sentence_of(BoneQualityError(NESTED)).template == NESTED.template
    assert str(NotMeasured(NESTED)).values == NESTED.values and str(NotMeasured("the mask is empty")).template == "the mask is empty"
    assert sentence_of(BoneQualityError("two\nlines")) == "two lines" and str(BoneQualityError("a {brace}")) == "a {brace}"
    error = BoneQualityError("{fault}; correct the {fact}.", fault=NotMeasured("{text!r} is no number", text="x"), fact="age")
    assert sentence_of(error) == "'x' is no number; correct the age." == str(pickle.loads(pickle.dumps(error)))
    assert sentence_of(error).values["fault"].template == "{text!r} is no number"


def test_names_with_braces_are_no_values():
    assert Sentence("segment {x}") == "segment {x}" == Sentence("segment {name}", name="{x}")


def test_several_are_joined():
    assert Sentence.joined(["a", NESTED]) == f"a; {NESTED}" and Sentence.joined([NESTED]) is NESTED and Sentence.joined([]) == ""
    assert Sentence.joined(["a", NESTED, "b"]).values["part2"] is NESTED


def test_the_scene_keeps_the_template_of_reasons_and_flags_beside_a_document_of_plain_texts():
    measured = result()
    document = measured.document()
    sentence = Sentence("no VBQ: {reason}", reason=Sentence("only {area:.0f} mm2 of CSF", area=np.float64(12.34567891)))
    document = dict(document, reasons=[sentence, "plain"])
    document["flags"] = [dict(document["flags"][0], about=NESTED), *document["flags"][1:]]

    class Shown:
        rois, muscles = measured.rois, None

        def document(self):
            return document

    show_case(Shown())
    case = SceneCase("case")
    assert json.loads(case.node("document").GetText())["reasons"] == ["no VBQ: only 12 mm2 of CSF", "plain"] == case.document["reasons"]
    reason, about = case.document["reasons"][0], case.document["flags"][0]["about"]
    assert reason.template == sentence.template and reason.values["reason"].values == {"area": 12.34567891}
    assert about == NESTED and about.template == NESTED.template
    renamed = case.rename("another")
    assert renamed.document["reasons"][0].template == sentence.template
    renamed.remove()


def test_no_sentence_of_the_library_names_an_option_of_the_command_line():
    library = Path(errors.__file__).parent
    for path in library.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        named = [text for text in texts - docstrings if re.search(r"--[a-z]{2}", text)]
        assert path.name.startswith("cli") or not named, (path, named)


def test_no_error_of_the_library_is_raised_with_values_in_its_text():
    """A panel looks a sentence up by its template; one that has its values in it already is in no catalog of translations."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in Path(errors.__file__).parent.rglob("*.py")}
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    said = {"BoneQualityError", "Sentence"}
    for _ in range(3):  # subclasses, and theirs
        said |= {each.name for each in classes if said & {getattr(base, "id", "") for base in each.bases}}
    assert {"NotMeasured", "Ambiguous", "NotCsv", "ManifestFaults", "NotThere"} <= said
    found = [(path.name, line) for path, tree in trees.items() for line in _lines_of_formatted(tree, said)]
    assert not found


def _lines_of_formatted(tree: ast.AST, said: set[str]):
    """Where a call of ``said`` is given an f-string or what ``format`` returned, as it is or in a variable."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        assigned = [
            node for node in ast.walk(function) if isinstance(node, (ast.Assign, ast.AugAssign)) and _is_formatted(node.value)
        ]
        targets = [target for node in assigned for target in getattr(node, "targets", None) or [node.target]]
        held = {target.id for target in targets if isinstance(target, ast.Name)}
        for call in (node for node in ast.walk(function) if getattr(getattr(node, "func", None), "id", "") in said):
            names = {node.id for text in call.args for node in ast.walk(text) if isinstance(node, ast.Name)}
            if _is_formatted(call) or held & names:
                yield call.lineno


def _is_formatted(node: ast.AST) -> bool:
    return any(isinstance(part, ast.JoinedStr) or getattr(part, "attr", "") == "format" for part in ast.walk(node))


def test_the_command_line_names_its_options_where_they_are_the_remedy():
    error = BoneQualityError("a.csv is there already; choose another folder or allow overwriting.", remedies=("overwrite", "time_limit"))
    said = with_options(sentence_of(error), error)
    assert said == "a.csv is there already; choose another folder or allow overwriting (--overwrite, --time-limit)."
    assert with_options("Stopped.", KeyboardInterrupt()) == "Stopped."
