"""One way in which a panel says faults, shows progress and asks for missing packages."""

import importlib
import importlib.metadata
import logging
import traceback
from contextlib import contextmanager
from functools import wraps
from subprocess import CalledProcessError

import qt
import slicer
from slicer.i18n import tr as _

from BoneQualityLib.errors import BoneQualityError, sentence_of

from .translated import translated


class Canceled(Exception):
    """A person pressed Cancel."""


def say(error, title):
    """Show a person what went wrong, and what to do; a fault of the module's own with what a report of it needs."""
    details = "" if isinstance(error, (BoneQualityError, OSError, MemoryError)) else traceback.format_exc()
    if details:
        logging.debug(details)
    slicer.util.errorDisplay(translated(sentence_of(error)), windowTitle=title, detailedText=details)


def said(method):
    """A slot or observer whose faults end in a message, never in silence."""

    @wraps(method)
    def slot(*arguments, **options):
        try:
            return method(*arguments, **options)
        except Canceled:
            raise
        except Exception as error:
            say(error, _("Bone Quality"))

    return slot


@contextmanager
def progress(title):
    """A progress dialog with Cancel, as a function of the share done and what comes next.

    Faults become a message; Cancel ends the block and leaves everything as the block left it, unless the function is told that
    this step cannot be canceled.
    """
    dialog = slicer.util.createProgressDialog(windowTitle=title, autoReset=False, autoClose=False)
    dialog.setWindowModality(qt.Qt.ApplicationModal)
    dialog.show()  # before any event is processed: a second click must not start a second measurement

    def report(share, text, canCancel=True):
        dialog.labelText = translated(text)
        dialog.value = int(100 * share)
        slicer.app.processEvents()
        if canCancel and dialog.wasCanceled:
            raise Canceled

    try:
        yield report
    except Canceled:
        slicer.util.showStatusMessage(_("Canceled."), 3000)
    except Exception as error:
        say(error, title)
    finally:
        dialog.close()
        dialog.deleteLater()


def installedOnClick(*requirements):
    """Whether packages that Slicer does not bring are there, such as "pandas>=2.0"; a person may have them installed now."""
    missing = [requirement for requirement in requirements if not _isInstalled(requirement)]
    if not missing:
        return True
    names = ", ".join(missing)
    question = _("Python packages are needed for this that Slicer does not have: {names}. Install them now?")
    if not slicer.util.confirmOkCancelDisplay(question.format(names=names)):
        return False
    try:
        _install(missing)
    except (RuntimeError, CalledProcessError) as fault:
        text = _("{names} could not be installed ({fault}). Check the network connection, and try again.")
        slicer.util.errorDisplay(text.format(names=names, fault=fault))
        return False
    importlib.invalidate_caches()
    return all(_isInstalled(requirement) for requirement in missing)


def _install(requirements):
    try:
        from slicer.packaging import pip_ensure
    except ImportError:  # Slicer 5.10
        slicer.util.pip_install(requirements)
    else:
        pip_ensure(requirements, prompt_install=False, requester=_("Bone Quality"))


def _isInstalled(requirement):
    name, _separator, lowest = requirement.partition(">=")
    try:
        there = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return not lowest or _numbers(there) >= _numbers(lowest)


def _numbers(version):
    return [int(part) for part in version.split(".")[:2] if part.isdigit()]
