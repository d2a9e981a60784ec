"""Loads a Qt Designer file into stand-ins, and refuses what Slicer would silently drop."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import api, conversion

DYNAMIC_PROPERTIES = {"SlicerParameterName"}
widget_classes: dict[str, type] = {}  # CTK's and Slicer's classes, by name


class UnknownInUi(RuntimeError):
    """The file names a class, property, signal or slot that Slicer does not have."""


class _Loader(QtUiTools.QUiLoader):
    def createWidget(self, class_name, parent=None, name=""):
        if class_name not in widget_classes:
            return super().createWidget(class_name, parent, name)
        widget = widget_classes[class_name](parent)
        widget.setObjectName(name)
        return widget


def load(path: str):
    """The stand-in of the top-level widget; its connections are made.

    Raises UnknownInUi for a class, property or connection that Slicer does not know.
    """
    tree = ElementTree.parse(path)
    root = tree.getroot()
    for element in root.iter("widget"):
        _check_widget(element, root)
    connections = root.find("connections")
    if connections is not None:
        root.remove(connections)  # Qt knows no vtkMRMLScene*, so that they are made below
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(root))
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    loader = _Loader()
    loader.setWorkingDirectory(QtCore.QFileInfo(path).dir())
    widget = loader.load(buffer)
    if widget is None:
        raise UnknownInUi(f"{path}: {loader.errorString()}")
    top = conversion.to_python(widget)
    for connection in connections if connections is not None else ():
        _connect(top, *(connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")))
    return top


def _check_widget(element: ElementTree.Element, root: ElementTree.Element) -> None:
    class_name, name = element.get("class"), element.get("name")
    class_name = "QFrame" if class_name == "Line" else class_name  # Designer's name for a ruler
    promoted = {custom.findtext("class") for custom in root.iter("customwidget")}
    if class_name not in widget_classes and not hasattr(QtWidgets, class_name):
        raise UnknownInUi(f"{name}: there is no widget class {class_name}.")
    if class_name in widget_classes and class_name not in promoted:
        raise UnknownInUi(f"{name}: {class_name} is not among the file's custom widgets.")
    stand_in = conversion.stand_ins.get(widget_classes.get(class_name) or getattr(QtWidgets, class_name))
    if stand_in is None:
        raise UnknownInUi(f"{name}: the host does not stand in {class_name}; register it in qt_stand_in.py.")
    members = stand_in._members
    for prop in element.findall("property"):
        if prop.get("name") not in members.properties and prop.get("name") not in DYNAMIC_PROPERTIES:
            raise UnknownInUi(f"{name}: {class_name} has no property {prop.get('name')}.")
        is_set_as_dynamic = prop.get("stdset") == "0"
        if prop.get("name") in DYNAMIC_PROPERTIES and not is_set_as_dynamic:
            raise UnknownInUi(f'{name}: the property {prop.get("name")} needs stdset="0".')


def _connect(top, sender: str, signal: str, receiver: str, slot: str) -> None:
    ends = []
    for name in (sender, receiver):
        end = top if top.objectName == name else top.findChild("QObject", name)
        if end is None:
            raise UnknownInUi(f"The connection {sender}.{signal} -> {receiver}.{slot} names no widget {name}.")
        ends.append(end)
    if api.argument_types(slot) != api.argument_types(signal)[: len(api.argument_types(slot))]:
        raise UnknownInUi(f"{sender}.{signal} does not fit {receiver}.{slot}.")
    try:
        ends[0].connect(signal, ends[1], slot)
    except ValueError as error:
        raise UnknownInUi(str(error)) from error
