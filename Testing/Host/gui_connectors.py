"""Which widget shows which type of parameter, and how; everything else is refused, as in Slicer."""

from __future__ import annotations

import enum
import logging
import pathlib
import typing
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer

from .validators import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange
from .values import node_classes


class Connector:
    """One widget, read and written through its property `value_property`; `signal` tells of changes."""

    def __init__(self, widget, value_property: str, signal: str):
        self.widget, self.value_property, self.signal = widget, value_property, signal
        self._callback: Callable[[], None] | None = None

    def observe(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` on every change; None to stop."""
        if self._callback:
            self.widget.disconnect(self.signal, self._callback)
        self._callback = callback
        if callback:
            self.widget.connect(self.signal, callback)

    def read(self) -> Any:
        return getattr(self.widget, self.value_property)

    def write(self, value: Any) -> None:
        setattr(self.widget, self.value_property, value)


class ListConnector(Connector):
    """A combo box filled with the texts of some values."""

    def __init__(self, widget, texts: list[str], values: list[Any]):
        super().__init__(widget, "currentIndex", "currentIndexChanged(int)")
        self.values = values
        widget.clear()
        for text in texts:
            widget.addItem(text)

    def read(self) -> Any:
        return self.values[self.widget.currentIndex]

    def write(self, value: Any) -> None:
        if value not in self.values:
            raise ValueError(f"Unable to find value {value} in choices {self.values}")
        self.widget.currentIndex = self.values.index(value)


class NodeConnector(Connector):
    """A node selector, which gets the parameter's node class."""

    def __init__(self, widget, classes: list[str]):
        super().__init__(widget, "", "currentNodeChanged(vtkMRMLNode*)")
        widget.nodeTypes = classes

    def read(self) -> Any:
        return self.widget.currentNode()

    def write(self, value: Any) -> None:
        self.widget.setCurrentNode(value)


class PathConnector(Connector):
    """A path line."""

    def __init__(self, widget, datatype: type):
        super().__init__(widget, "currentPath", "currentPathChanged(QString)")
        self.datatype = datatype

    def read(self) -> Any:
        return self.datatype(super().read())

    def write(self, value: Any) -> None:
        super().write(str(value))


def connector_for(widget, datatype: Any) -> Connector:
    """The connector of a widget, of exactly a known class, for a parameter's type; RuntimeError where there is none."""
    annotations = getattr(datatype, "__metadata__", ())
    plain = typing.get_args(datatype)[0] if annotations else datatype
    kind = type(widget)
    if kind is qt.QCheckBox and plain is bool:
        return Connector(widget, "checked", "stateChanged(int)")
    if kind is qt.QPushButton and plain is bool:
        if not widget.checkable:
            logging.warning("Making a push button checkable, to hold a bool.")
            widget.checkable = True
        return Connector(widget, "checked", "toggled(bool)")
    if kind is qt.QSpinBox and plain is int:
        return _number(widget, annotations, "valueChanged(int)", (-(2**31), 2**31 - 1))
    if kind in (qt.QDoubleSpinBox, ctk.ctkSliderWidget) and plain is float:
        return _number(widget, annotations, "valueChanged(double)", (float("-inf"), float("inf")))
    if kind is qt.QComboBox:
        return _list(widget, plain, annotations)
    if kind is qt.QLineEdit and plain is str:
        return Connector(widget, "text", "textChanged(QString)")
    if kind is qt.QTextEdit and plain is str:
        return Connector(widget, "plainText", "textChanged()")
    if kind is ctk.ctkPathLineEdit and isinstance(plain, type) and issubclass(plain, pathlib.PurePath):
        return PathConnector(widget, plain)
    if kind is slicer.qMRMLNodeComboBox and node_classes(plain):
        return NodeConnector(widget, node_classes(plain))
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{kind}'")


def _first(annotations: tuple, kind: type) -> Any:
    return next((annotation for annotation in annotations if isinstance(annotation, kind)), None)


def _number(widget, annotations: tuple, signal: str, unbounded: tuple) -> Connector:
    for kind, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
        if _first(annotations, kind):
            setattr(widget, name, _first(annotations, kind).value)
    within = _first(annotations, WithinRange)
    lowest = within or _first(annotations, Minimum)
    highest = within or _first(annotations, Maximum)
    if type(widget) is ctk.ctkSliderWidget and not (lowest and highest):
        raise RuntimeError("A ctkSliderWidget needs a parameter with WithinRange.")
    widget.minimum = lowest.minimum if lowest else unbounded[0]
    widget.maximum = highest.maximum if highest else unbounded[1]
    return Connector(widget, "value", signal)


def _list(widget, plain: Any, annotations: tuple) -> Connector:
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        members = list(plain)
        return ListConnector(widget, [m.label() if hasattr(m, "label") else m.name for m in members], members)
    choice = _first(annotations, Choice)
    if plain not in (int, float, str, bool) or choice is None:
        raise RuntimeError(f"A QComboBox needs a parameter with Choice, not {plain}.")
    return ListConnector(widget, [str(value) for value in choice.choices], list(choice.choices))
