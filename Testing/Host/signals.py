"""The signals of a Qt object as PythonQt shows them: by signature, to Python callables or to other objects' slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6 import QtCore

from . import api, conversion
from .slots import call_slot

if TYPE_CHECKING:
    from .proxy import PythonQtProxy


class Connections:
    """What Python callables one Qt object's signals call, kept alive by the object itself."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Callable, QtCore.QMetaObject.Connection]] = []

    @staticmethod
    def of(target: QtCore.QObject) -> Connections:
        connections = getattr(target, "_host_connections", None)
        if connections is None:
            connections = target._host_connections = Connections()
        return connections

    def add(self, target: QtCore.QObject, signature: str, slot: Callable) -> None:
        def receive(*arguments):
            call_slot(slot, tuple(conversion.to_python(argument) for argument in arguments))

        if target.metaObject().indexOfSignal(signature) >= 0:
            handle = QtCore.QObject.connect(target, QtCore.SIGNAL(signature), receive)
        else:  # a signal of a stand-in widget, whose MRML arguments have no Qt type
            name = getattr(target, "signal_of", {}).get(signature, api.base_name(signature))
            handle = getattr(target, name).connect(receive)
        self.entries.append((signature, slot, handle))

    def clear(self) -> None:
        for _, _, handle in self.entries:
            QtCore.QObject.disconnect(handle)
        self.entries.clear()

    def remove(self, signature: str, slot: Callable) -> bool:
        for entry in self.entries:
            if entry[0] == signature and entry[1] == slot:
                self.entries.remove(entry)
                return QtCore.QObject.disconnect(entry[2])
        return False


class BoundSignal:
    """`button.clicked`: a signal of one object."""

    def __init__(self, proxy: PythonQtProxy, name: str):
        overloads = proxy._members.signals_named(name)
        longest = api.argument_types(overloads[0])
        if any(api.argument_types(other) != longest[: len(api.argument_types(other))] for other in overloads):
            raise ValueError(f"{name} is overloaded ({', '.join(overloads)}): use connect with the full signature.")
        self._proxy, self._name, self._signature = proxy, name, overloads[0]

    def connect(self, slot: Callable) -> bool:
        return self._proxy.connect(self._signature, slot)

    def disconnect(self, slot: Callable) -> bool:
        return self._proxy.disconnect(self._signature, slot)

    def emit(self, *arguments: Any) -> None:
        getattr(self._proxy._unwrap(), self._name).emit(*[conversion.to_qt(argument) for argument in arguments])

    __call__ = emit


class Forward:
    """A slot of another Qt object as a callable; equal to every other for the same slot."""

    def __init__(self, target: PythonQtProxy, signature: str):
        self.target, self.signature = target, signature

    def __call__(self, *arguments: Any) -> None:
        count = len(api.argument_types(self.signature))
        getattr(self.target, api.base_name(self.signature))(*arguments[:count])

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Forward) and (self.target, self.signature) == (other.target, other.signature)

    __hash__ = None
