"""How PythonQt calls a Python callable from a signal: arguments cut to what it declares, exceptions swallowed (and recorded)."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

failures: list[str] = []  # the tracebacks of every exception that Slicer would have printed and forgotten


def accepted_arguments(slot: Callable) -> int | None:
    """How many arguments PythonQt passes to `slot`; None for all of them (partials, builtins, classes, `*args`)."""
    if inspect.ismethod(slot) and inspect.isfunction(slot.__func__):
        code, bound = slot.__func__.__code__, 1
    elif inspect.isfunction(slot):
        code, bound = slot.__code__, 0
    else:
        return None
    return None if code.co_flags & inspect.CO_VARARGS else code.co_argcount - bound


def call_slot(slot: Callable, arguments: tuple[Any, ...]) -> None:
    """Call `slot` as a signal does: what it raises is recorded in `failures` and does not reach the emitter."""
    try:
        slot(*arguments[: accepted_arguments(slot)])
    except Exception:  # noqa: BLE001 - in Slicer an event loop catches it; a test reads it from `failures`
        failures.append(traceback.format_exc())


def record_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A `sys.excepthook`: VTK and Qt hand over here what a Python observer or override raised."""
    failures.append("".join(traceback.format_exception(kind, error, trace)))
