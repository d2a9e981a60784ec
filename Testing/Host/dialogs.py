"""What would wait for a user: modal dialogs, file dialogs and the web browser; recorded, and answered by the test."""

from __future__ import annotations

import dataclasses

from PySide6 import QtWidgets

from .conversion import QtEnum


class UnansweredDialog(AssertionError):
    """A dialog opened that the test did not expect; in Slicer it would wait for ever."""


@dataclasses.dataclass
class User:
    """What the user saw, and what the user will answer.

    messages: (window title, text) of every message box; opened: the addresses handed to the desktop.
    answers: what to answer next: a button's text for a message box, a path (or list of paths) for a file dialog, in order.
    """

    messages: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    opened: list[str] = dataclasses.field(default_factory=list)
    answers: list = dataclasses.field(default_factory=list)

    def reset(self) -> None:
        for seen in (self.messages, self.opened, self.answers):
            seen.clear()


user = User()


def execute(dialog) -> int:
    """`dialog.exec_()`: a message box with one button closes by itself, any other needs an answer."""
    target = dialog._unwrap()
    if not isinstance(target, QtWidgets.QMessageBox):
        raise UnansweredDialog(f"A modal {dialog.className()} opened.")
    user.messages.append((target.windowTitle().strip(), target.text()))
    buttons = [target.standardButton(button) for button in target.buttons()]
    if len(buttons) <= 1:
        return QtEnum(buttons[0] if buttons else QtWidgets.QMessageBox.StandardButton.Ok)
    wanted = _next_answer(f"message box '{target.text()}'")
    for button in target.buttons():
        if button.text().replace("&", "") == wanted:
            return QtEnum(target.standardButton(button))
    raise UnansweredDialog(f"The message box '{target.text()}' has no button '{wanted}'.")


def open_url(url) -> bool:
    """`QDesktopServices.openUrl`."""
    user.opened.append(url.toString())
    return True


def _next_answer(what: str):
    if not user.answers:
        raise UnansweredDialog(f"Nobody answers the {what}.")
    return user.answers.pop(0)


def _one_path(*arguments) -> str:
    """What getOpenFileName, getSaveFileName and getExistingDirectory return in PythonQt: a string, empty for Cancel."""
    return str(_next_answer("file dialog"))


def _many_paths(*arguments) -> tuple[str, ...]:
    return tuple(str(path) for path in _next_answer("file dialog"))


file_dialog_functions = {
    "getOpenFileName": staticmethod(_one_path),
    "getSaveFileName": staticmethod(_one_path),
    "getExistingDirectory": staticmethod(_one_path),
    "getOpenFileNames": staticmethod(_many_paths),
}
