"""Pages and texts from templates, ours or a person's own (jinja2)."""

from __future__ import annotations

from pathlib import Path

from ..errors import BoneQualityError, Sentence

#: Needed for pages and texts; 3D Slicer does not bring it along.
PACKAGES = ("jinja2",)
OWN = Path(__file__).with_name("pages")
#: Templates that a person may replace.
REPLACEABLE = ("report.html", "ris.txt")


def render(name: str, content: dict, folder: str | Path | None = None) -> str:
    """The text that template ``name`` makes of ``content``; in HTML all content is escaped.

    folder: a person's own templates; what it lacks is taken from ours, which its templates may extend as
    ``bonequality/report.html``. Raises BoneQualityError naming the template and the line where one cannot be used.
    """
    environment = _environment(name, folder)
    jinja2 = _jinja2()
    try:
        return environment.get_template(name).render(content)
    except jinja2.TemplateSyntaxError as error:
        raise BoneQualityError(
            "Line {lineno} of the template {name} is wrong ({message}); correct it.",
            lineno=error.lineno,
            name=error.name,
            message=error.message,
        ) from None
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if folder is None or not (Path(folder) / name).is_file():
            raise
        raise BoneQualityError(
            "The template {name} in {folder} cannot be used ({error}); correct it, or take it out of the folder.",
            name=name,
            folder=folder,
            error=error,
        ) from None


def check_folder(folder: str | Path) -> None:
    """Raise BoneQualityError for a folder that holds none of the templates that a person may replace, or a wrong one."""
    there = [name for name in REPLACEABLE if (Path(folder) / name).is_file()]
    if not there:
        raise BoneQualityError(
            "{folder} holds no template; put {names} there.", folder=folder, names=Sentence.joined(REPLACEABLE, " or ")
        )
    jinja2 = _jinja2()
    for name in there:
        try:
            _environment(name, folder).get_template(name)
        except jinja2.TemplateSyntaxError as error:
            raise BoneQualityError(
                "Line {lineno} of the template {name} is wrong ({message}); correct it.",
                lineno=error.lineno,
                name=name,
                message=error.message,
            ) from None
        except UnicodeDecodeError:
            raise BoneQualityError(
                "The template {name} in {folder} is not UTF-8; save it as UTF-8.", name=name, folder=folder
            ) from None


def _environment(name: str, folder: str | Path | None):
    """Where template ``name`` and what it extends are found; strict, and without access to Python's insides."""
    jinja2 = _jinja2()
    from jinja2.sandbox import SandboxedEnvironment

    ours = jinja2.FileSystemLoader(OWN)
    theirs = [jinja2.FileSystemLoader(folder)] if folder is not None and name in REPLACEABLE else []
    return SandboxedEnvironment(
        loader=jinja2.ChoiceLoader([*theirs, ours, jinja2.PrefixLoader({"bonequality": ours})]),
        autoescape=jinja2.select_autoescape(["html"]), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip


def _jinja2():
    try:
        import jinja2
    except ImportError:
        raise BoneQualityError(
            "The report needs the Python package jinja2; install it (in 3D Slicer: slicer.util.pip_install('jinja2')), "
            "or leave out the report."
        ) from None
    return jinja2
