"""The module `slicer.i18n`: texts stay as they are."""

from __future__ import annotations


def tr(text: str) -> str:
    """`text` in the application's language; here English."""
    return translate("", text)


def translate(context: str, text: str) -> str:
    """`text` in the application's language; TypeError for anything but strings, as lupdate could not read it."""
    if not (type(context) is str and type(text) is str):
        raise TypeError(f"translate takes two strings, not {context!r} and {text!r}.")
    return text


def getContext(sourceFile: str) -> str:
    """The translation context of a file: its name without `.py`."""
    return sourceFile.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
