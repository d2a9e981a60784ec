"""Values on their way between Python and Qt, converted as PythonQt does it."""

from __future__ import annotations

import enum
from typing import Any

import shiboken6
from PySide6 import QtCore
from vtkmodules.vtkCommonCore import vtkObjectBase

# PySide class -> the stand-in class that shows its objects; filled by `proxy.register`.
stand_ins: dict[type, type] = {}


class QtEnum(int):
    """A Qt enumerator as PythonQt shows it: an integer that still knows what it stands for."""

    def __new__(cls, member: enum.Enum):
        value = super().__new__(cls, member.value)
        value.member = member
        return value

    def __or__(self, other):
        if isinstance(other, QtEnum):
            return QtEnum(self.member | other.member)
        return int(self) | other

    def __repr__(self) -> str:
        return f"{self.member.name} ({int(self)})"


def to_python(value: Any) -> Any:
    """What Python sees of a value that Qt returned: stand-ins for objects, integers for enumerators, tuples for lists."""
    if isinstance(value, enum.Enum):
        return QtEnum(value)
    if isinstance(value, (list, tuple)):
        return tuple(to_python(item) for item in value)
    if isinstance(value, shiboken6.Object):
        return stand_in_for(value)
    return value


def stand_in_for(value: shiboken6.Object) -> Any:
    """The stand-in of a Qt object; an object of an unregistered class shows its nearest registered base."""
    for qt_class in type(value).__mro__:
        if qt_class in stand_ins:
            return stand_ins[qt_class].wrap(value)
    raise NotImplementedError(f"The host does not stand in {type(value).__name__}; register it in qt_stand_in.py.")


def to_qt(value: Any) -> Any:
    """The value that Qt gets for a Python argument.

    Raises ValueError for what PythonQt does not convert: numpy scalars and arrays, paths, other objects.
    """
    if isinstance(value, QtEnum):
        return value.member
    if value is None or type(value) in (bool, int, float, str, bytes, bytearray):
        return value
    if isinstance(value, int):  # an enumerator of VTK
        return int(value)
    if isinstance(value, (list, tuple)):
        return [to_qt(item) for item in value]
    if isinstance(value, dict):
        return {key: to_qt(item) for key, item in value.items()}
    unwrap = getattr(value, "_unwrap", None)
    if unwrap is not None:
        return unwrap()
    if isinstance(value, (QtCore.QObject, vtkObjectBase)):
        return value
    raise ValueError(f"Qt does not take a {type(value).__module__}.{type(value).__qualname__} ({value!r}).")


_ACCEPTED = {
    "bool": (bool, int),
    "int": (int, bool, float),
    "double": (float, int),
    "QStringList": (list, tuple),
}


def coerced(value: Any, qt_type: str) -> Any:
    """`value` for a parameter of `qt_type`: PythonQt makes text of anything, and whole numbers of floats.

    Raises ValueError where the types do not fit.
    """
    if qt_type == "QString":
        return value if type(value) is str else str(value)
    accepted = _ACCEPTED.get(qt_type)
    if accepted and not isinstance(value, accepted):
        raise ValueError(f"{value!r} is not a {qt_type}.")
    if accepted and type(value).__module__ == "numpy":
        raise ValueError(f"{value!r} is a numpy scalar, not a {qt_type}.")
    return int(value) if qt_type == "int" and isinstance(value, float) else value
