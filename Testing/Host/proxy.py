"""`PythonQtProxy`: shows a PySide6 object the way PythonQt shows it in Slicer."""

from __future__ import annotations

import enum
import weakref
from typing import Any

import shiboken6
from PySide6 import QtCore

from . import api, conversion
from .signals import BoundSignal, Connections, Forward


class BoundMethod:
    """`button.setText`: a slot or method of one object, or a static one of a class."""

    def __init__(self, members: api.Members, owner: Any, name: str):
        self._members, self._owner, self._name = members, owner, name
        if not hasattr(owner, name):
            raise AttributeError(f"{name} exists in Qt 5 only, or the host does not stand it in.")

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if keywords:
            raise ValueError(f"{self._name}: Qt calls take no keyword arguments ({', '.join(keywords)}).")
        arguments = [conversion.to_qt(argument) for argument in arguments]
        types = self._types(len(arguments))
        if types:
            arguments = [conversion.coerced(argument, kind) for argument, kind in zip(arguments, types, strict=True)]
        try:
            return conversion.to_python(getattr(self._owner, self._name)(*arguments))
        except TypeError as error:
            raise ValueError(f"Called {self._name} with wrong arguments: {arguments!r}") from error

    def _types(self, count: int) -> list[str] | None:
        property_name = self._name[3:4].lower() + self._name[4:]
        if self._name.startswith("set") and count == 1 and property_name in self._members.properties:
            return [self._members.properties[property_name][0]]
        return self._members.slot_types(self._name, count)


class ProxyType(type):
    """Serves a Qt class's enumerators and static functions, and nothing else, as attributes of its stand-in."""

    def __getattr__(cls, name: str) -> Any:
        qt_class = cls.__dict__.get("_qt_class") or getattr(cls.__base__, "_qt_class", None)
        if qt_class is None or name.startswith("__"):
            raise AttributeError(name)
        for member in enumerators(qt_class):
            if name in member.__members__:
                return conversion.QtEnum(member[name])
        if name in cls._members.methods:
            return BoundMethod(cls._members, qt_class, name)
        raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")

    def __setattr__(cls, name: str, value: Any) -> None:
        if not name.startswith("_") and "_qt_class" in vars(cls):
            raise AttributeError(f"'{name}' cannot be set on the Qt class {cls.__name__}.")
        super().__setattr__(name, value)


def enumerators(qt_class: type) -> list[type[enum.Enum]]:
    """The enumeration types of a Qt class and its bases; PythonQt shows their values unscoped."""
    found = (value for base in qt_class.__mro__ for value in vars(base).values())
    return [value for value in found if isinstance(value, type) and issubclass(value, enum.Enum)]


class PythonQtProxy(metaclass=ProxyType):
    """Base of every stand-in class; an instance shows one object of `_qt_class`, limited to `_members`."""

    __slots__ = ("__weakref__", "_target")
    _qt_class: type | None = None
    _members = api.Members()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        overridden = [name for name in vars(cls) if name in cls._members.methods]
        if "_qt_class" not in vars(cls) and overridden:
            raise NotImplementedError(f"The host does not call overrides of Qt's functions: {', '.join(overridden)}.")

    def __init__(self, *arguments: Any, **keywords: Any):
        if keywords:
            raise ValueError(f"{type(self).__name__}: Qt calls take no keyword arguments ({', '.join(keywords)}).")
        try:
            target = self._qt_class(*[conversion.to_qt(argument) for argument in arguments])
        except TypeError as error:
            raise ValueError(f"Called {type(self).__name__} with wrong arguments: {arguments!r}") from error
        self._attach(target)

    @classmethod
    def wrap(cls, target: Any) -> PythonQtProxy:
        """The one stand-in of a Qt object, new where it has none yet."""
        known = getattr(target, "_host_proxy", lambda: None)()
        if known is None:
            known = cls.__new__(cls)
            known._attach(target)
        return known

    def _attach(self, target: Any) -> None:
        object.__setattr__(self, "_target", target)
        if isinstance(target, QtCore.QObject):
            # An object of a Python class keeps its attributes as long as Qt keeps it.
            target._host_proxy = weakref.ref(self) if self._is_plain() else lambda: self

    @classmethod
    def _is_plain(cls) -> bool:
        """Whether this is a Qt class itself, not a Python class derived from one."""
        return "_qt_class" in vars(cls)

    def _unwrap(self) -> Any:
        if isinstance(self._target, shiboken6.Object) and not shiboken6.isValid(self._target):
            raise ValueError(f"This {type(self).__name__} was destroyed.")
        return self._target

    def __getattr__(self, name: str) -> Any:
        target, members = self._unwrap(), self._members
        if name in members.properties:
            return conversion.to_python(self._property(target, name))
        if name in members.methods:
            return BoundMethod(members, target, name)
        if members.signals_named(name):
            return BoundSignal(self, name)
        for enumeration in enumerators(type(target)):
            if name in enumeration.__members__:
                return conversion.QtEnum(enumeration[name])
        raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._members.properties and not self._is_plain():
            return object.__setattr__(self, name, value)
        target = self._unwrap()
        if name not in self._members.properties:
            raise AttributeError(f"'{name}' does not exist on {type(self).__name__}, and Qt objects take no new attributes.")
        kind, writable = self._members.properties[name]
        self._property(target, name)
        try:
            accepted = writable and target.setProperty(name, conversion.coerced(conversion.to_qt(value), kind))
        except ValueError:
            accepted = False
        if not accepted:
            raise AttributeError(f"Property '{name}' of type '{kind}' is read-only or does not accept {value!r}.")

    @staticmethod
    def _property(target: QtCore.QObject, name: str) -> Any:
        if target.metaObject().indexOfProperty(name) < 0:
            raise AttributeError(f"Property '{name}' exists in Qt 5 only, or the host does not stand it in.")
        return target.property(name)

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, PythonQtProxy):
            return NotImplemented
        same = self._target is other._target
        return same or (not isinstance(self._target, QtCore.QObject) and self._target == other._target)

    def __hash__(self) -> int:
        return id(self._target)

    def __bool__(self) -> bool:
        return not isinstance(self._target, shiboken6.Object) or shiboken6.isValid(self._target)

    def __repr__(self) -> str:
        return f"{type(self).__name__} (stand-in for {self._target!r})"


class QObjectProxy(PythonQtProxy):
    """What PythonQt adds to every QObject by itself."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self._unwrap().objectName()

    @name.setter
    def name(self, value: str) -> None:
        self._unwrap().setObjectName(value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "name":
            return object.__setattr__(self, name, value)
        super().__setattr__(name, value)

    def className(self) -> str:
        return self._unwrap().metaObject().className()

    def delete(self) -> None:
        shiboken6.delete(self._unwrap())

    def connect(self, signature: str, *receiver: Any) -> bool:
        """`connect("clicked(bool)", callable)` or `connect("clicked(bool)", other, "setEnabled(bool)")`.

        Raises ValueError for an unknown signature, where PythonQt prints and returns False.
        """
        self._check_signal(signature)
        slot = receiver[0]
        if len(receiver) == 2:
            target, slot_signature = receiver
            if slot_signature not in target._members.slots:
                raise ValueError(f"{type(target).__name__} has no slot {slot_signature}.")
            slot = Forward(target, slot_signature)
        if not callable(slot):
            raise ValueError(f"{slot!r} cannot be called.")
        Connections.of(self._unwrap()).add(self._unwrap(), signature, slot)
        return True

    def disconnect(self, signature: str, *receiver: Any) -> bool:
        """Undo `connect`; False where there was no such connection."""
        self._check_signal(signature)
        slot = Forward(*receiver) if len(receiver) == 2 else receiver[0]
        return Connections.of(self._unwrap()).remove(signature, slot)

    def _check_signal(self, signature: str) -> None:
        if signature not in self._members.signals:
            known = ", ".join(self._members.signals_named(api.base_name(signature))) or "nothing of that name"
            raise ValueError(f"{type(self).__name__} has no signal {signature}; it has {known}.")

    def findChild(self, kind: type | str, name: str = "") -> PythonQtProxy | None:
        """The first descendant of a class, with a name if one is given."""
        return next(iter(self.findChildren(kind, name)), None)

    def findChildren(self, kind: type | str, name: str = "") -> tuple[PythonQtProxy, ...]:
        """Every descendant of a class, with a name if one is given."""
        class_name = kind if isinstance(kind, str) else kind.__name__
        found = self._unwrap().findChildren(QtCore.QObject, name or None)
        return tuple(conversion.to_python(child) for child in found if child.inherits(class_name))
