"""How a parameter's value is written into a parameter node as text or as a node reference."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Callable
from typing import Any

import slicer


class Codec:
    """Text and value of one type.

    accepted: the types a value may have; none of them may be None.
    """

    def __init__(self, accepted: tuple[type, ...], default: Callable[[], Any], write: Callable, read: Callable):
        self.accepted, self.default, self._to_text, self._from_text = accepted, default, write, read

    def check(self, value: Any) -> None:
        """ValueError for None, TypeError for another type."""
        if value is None:
            raise ValueError("Value must not be None")
        if not isinstance(value, self.accepted):
            raise TypeError(f"Value must be of type {self.accepted}, is {type(value)}: {value!r}")

    def write(self, node, name: str, value: Any) -> None:
        node.SetParameter(name, self._to_text(value))

    def read(self, node, name: str) -> Any:
        return self._from_text(node.GetParameter(name))


class NodeCodec(Codec):
    """A node of some class, or None, as a node reference of the parameter's name."""

    def __init__(self, node_class: type):
        self.accepted = (node_class,)
        self.default = lambda: None

    def check(self, value: Any) -> None:
        if value is not None:
            super().check(value)

    def write(self, node, name: str, value: Any) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name: str) -> Any:
        return node.GetNodeReference(name)


def codec_for(datatype: Any) -> Codec:
    """The codec of a type.

    Raises TypeError for a type that a parameter cannot have, also for a union of two node types (which fails on Python 3.11).
    """
    if typing.get_origin(datatype) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(datatype) if member is not type(None)]
        if len(members) != 1 or not issubclass(members[0], slicer.vtkMRMLNode):
            raise TypeError(f"A parameter cannot be a {datatype}.")
        return NodeCodec(members[0])
    if datatype is bool:
        return Codec((bool,), bool, lambda value: "True" if value else "False", lambda text: text == "True")
    if datatype is int:
        return Codec((int,), int, str, int)
    if datatype is float:
        return Codec((int, float), float, str, float)
    if datatype is str:
        return Codec((str,), str, str, str)
    if isinstance(datatype, type) and issubclass(datatype, pathlib.PurePath):
        return Codec((datatype,), datatype, str, datatype)
    if isinstance(datatype, type) and issubclass(datatype, enum.Enum):
        return Codec((datatype,), lambda: next(iter(datatype)), lambda value: value.name, lambda text: datatype[text])
    if isinstance(datatype, type) and issubclass(datatype, slicer.vtkMRMLNode):
        return NodeCodec(datatype)
    raise TypeError(f"A parameter cannot be a {datatype}.")


def node_classes(datatype: Any) -> list[str]:
    """The class names of a node type, with or without `| None`; empty for other types."""
    members = [datatype, *typing.get_args(datatype)]
    return [m.__name__ for m in members if isinstance(m, type) and issubclass(m, slicer.vtkMRMLNode)]
