"""The module `qt`: PySide6's classes shown as PythonQt shows them; one line a class."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from . import api, conversion, dialogs, slots
from .proxy import PythonQtProxy, QObjectProxy

# Names that the introspection lacks and Slicer's own Python code uses, or that PythonQt adds.
_QOBJECT = api.Members(
    {"objectName": ("QString", True)},
    frozenset({"destroyed(QObject*)", "destroyed()", "objectNameChanged(QString)"}),
    frozenset({"deleteLater()"}),
    frozenset(
        api.words(
            "blockSignals children deleteLater dynamicPropertyNames inherits installEventFilter isWidgetType "
            "parent property removeEventFilter sender setObjectName setParent setProperty signalsBlocked"
        )
    ),
)


def register(name: str, qt_class: type, members: api.Members, base: type = QObjectProxy, **overrides: Any) -> type[PythonQtProxy]:
    """A stand-in class for `qt_class` that shows `members`; `overrides` replace what PySide does differently."""
    body = {"__slots__": (), "_qt_class": qt_class, "_members": members, **overrides}
    stand_in = type(base)(name, (base,), body)
    conversion.stand_ins[qt_class] = stand_in
    return stand_in


def widget(name: str, qt_class: type | None = None, **overrides: Any) -> type[PythonQtProxy]:
    """A QObject class of the introspection; a subclass of QWidget where PythonQt knows it as one."""
    qt_class = qt_class or _qt_class(name)
    is_qt_widget = name.startswith("Q") and name != "QWidget" and issubclass(qt_class, QtWidgets.QWidget)
    members = api.members_of(name).with_methods("deleteLater", "signalsBlocked")
    if issubclass(qt_class, QtWidgets.QDialog):
        members = members.with_methods("exec_")
        overrides.setdefault("exec_", dialogs.execute)
        overrides.setdefault("exec", dialogs.execute)
    return register(name, qt_class, members, classes["QWidget"] if is_qt_widget else QObjectProxy, **overrides)


def value(name: str, methods: str, qt_class: type | None = None, **overrides: Any) -> type[PythonQtProxy]:
    """A class that is no QObject: it has methods and no properties (`item.text()` is a call)."""
    members = api.Members(methods=frozenset(methods.split()))
    return register(name, qt_class or _qt_class(name), members, PythonQtProxy, **overrides)


def similar(name: str, model: str, more_methods: str = "") -> type[PythonQtProxy]:
    """A class that the introspection lacks, with the members of `model` and some methods more."""
    members = api.members_of(model).with_methods(*more_methods.split())
    qt_class = _qt_class(name)
    base = classes["QWidget"] if issubclass(qt_class, QtWidgets.QWidget) else QObjectProxy
    return register(name, qt_class, members, base)


def _qt_class(name: str) -> type:
    return next(getattr(module, name) for module in (QtCore, QtGui, QtWidgets) if hasattr(module, name))


def _frame_members() -> api.Members:
    """A QWidget's, and what QLabel inherits from QFrame."""
    label, names = api.members_of("QLabel"), ("frameShape", "frameShadow", "lineWidth", "midLineWidth", "frameWidth", "frameRect")
    own = api.Members({name: label.properties[name] for name in names}).with_methods("setFrameShape", "setFrameShadow")
    return own | api.members_of("QWidget")


def _single_shot(milliseconds: int, slot: Callable) -> None:
    QtCore.QTimer.singleShot(milliseconds, lambda: slots.call_slot(slot, ()))


def _set_override_cursor(cursor: conversion.QtEnum) -> None:
    QtWidgets.QApplication.setOverrideCursor(conversion.to_qt(cursor))  # PySide returns a guard, PythonQt nothing


def _process_environment_keys(self) -> tuple[str, ...]:
    return tuple(self._unwrap().keys())


classes: dict[str, type] = {}


def _define() -> None:
    """Fill `classes`; in order of inheritance."""
    classes["QObject"] = register("QObject", QtCore.QObject, _QOBJECT)
    classes["QWidget"] = widget("QWidget")
    for name in api.words(
        "QAction QCheckBox QComboBox QDialog QDoubleSpinBox QFormLayout QGroupBox QLabel QLineEdit "
        "QMessageBox QPlainTextEdit QProcess QProgressBar QPushButton QRadioButton QSettings QSpinBox "
        "QTabWidget QTableWidget QTextBrowser QTextEdit QToolButton QVBoxLayout"
    ):
        classes[name] = widget(name)
    classes["QFileDialog"] = widget("QFileDialog", **dialogs.file_dialog_functions)
    # PythonQt's function singleShot hides the property of that name.
    timer = api.members_of("QTimer").without_property("singleShot")
    classes["QTimer"] = register("QTimer", QtCore.QTimer, timer, singleShot=staticmethod(_single_shot))
    classes["QHBoxLayout"] = similar("QHBoxLayout", "QVBoxLayout")
    classes["QGridLayout"] = similar(
        "QGridLayout", "QFormLayout", "addLayout setColumnStretch setRowStretch setColumnMinimumWidth setRowMinimumHeight"
    )
    classes["QFrame"] = register("QFrame", QtWidgets.QFrame, _frame_members(), classes["QWidget"])
    classes["QHeaderView"] = similar(
        "QHeaderView", "QWidget", "setSectionResizeMode setStretchLastSection setDefaultSectionSize resizeSections"
    )
    classes["QScrollArea"] = similar("QScrollArea", "QWidget", "setWidget widget setWidgetResizable")
    classes["QStatusBar"] = similar("QStatusBar", "QWidget", "showMessage currentMessage clearMessage")
    classes["QMenu"] = similar("QMenu", "QWidget", "addMenu addSeparator clear exec_ popup")
    # The introspection lacks it; Slicer's own modules use it like this.
    shortcut = api.Members(
        {"key": ("QKeySequence", True), "enabled": ("bool", True), "context": ("Qt::ShortcutContext", True)},
        frozenset({"activated()", "activatedAmbiguously()"}),
        frozenset({"setEnabled(bool)", "deleteLater()"}),
    ).with_methods("setKey", "setEnabled", "setContext", "deleteLater")
    classes["QShortcut"] = register("QShortcut", QtGui.QShortcut, _QOBJECT | shortcut)
    classes["QApplication"] = register(
        "QApplication",
        QtWidgets.QApplication,
        _QOBJECT.with_methods(
            *api.words("instance processEvents setOverrideCursor restoreOverrideCursor clipboard activeWindow")
        ),
        setOverrideCursor=staticmethod(_set_override_cursor),
    )
    classes["QClipboard"] = register("QClipboard", QtGui.QClipboard, _QOBJECT.with_methods("setText", "text"))
    classes["QUiLoader"] = register("QUiLoader", QtUiTools.QUiLoader, _QOBJECT.with_methods("load"), load=_load_ui)
    _define_values()


def _define_values() -> None:
    text_item = "text setText toolTip setToolTip flags setFlags data setData setTextAlignment textAlignment"
    classes["QTableWidgetItem"] = value(
        "QTableWidgetItem", f"{text_item} setForeground setBackground setFont font setIcon row column isSelected"
    )
    classes["QByteArray"] = value("QByteArray", "data size length isEmpty append toBase64")
    classes["QUrl"] = value("QUrl", "toString toLocalFile isValid isLocalFile path scheme fromLocalFile")
    classes["QIcon"] = value("QIcon", "isNull pixmap addFile fromTheme")
    classes["QPixmap"] = value("QPixmap", "isNull width height save load scaled fill")
    classes["QSize"] = value("QSize", "width height setWidth setHeight isValid")
    classes["QSizePolicy"] = value("QSizePolicy", "horizontalPolicy verticalPolicy setHorizontalPolicy setVerticalPolicy")
    classes["QColor"] = value("QColor", "name red green blue alpha isValid getRgb setAlpha")
    classes["QBrush"] = value("QBrush", "color setColor style")
    classes["QFont"] = value("QFont", "bold setBold italic setItalic pointSize setPointSize family setFamily setStyleHint")
    classes["QFontMetrics"] = value("QFontMetrics", "height horizontalAdvance averageCharWidth")
    classes["QMargins"] = value("QMargins", "left top right bottom")
    classes["QPoint"] = value("QPoint", "x y setX setY")
    classes["QRect"] = value("QRect", "x y width height isValid left right top bottom center")
    classes["QCursor"] = value("QCursor", "shape setShape pos")
    classes["QKeySequence"] = value("QKeySequence", "toString isEmpty")
    classes["QSpacerItem"] = value("QSpacerItem", "changeSize")
    classes["QLocale"] = value("QLocale", "name toString system c")
    classes["QDateTime"] = value("QDateTime", "toString isValid currentDateTime")
    classes["QDir"] = value("QDir", "absolutePath exists mkpath path filePath removeRecursively homePath tempPath")
    classes["QFileInfo"] = value("QFileInfo", "absoluteFilePath exists fileName baseName suffix isDir isFile")
    classes["QProcessEnvironment"] = value(
        "QProcessEnvironment",
        "value insert remove contains isEmpty clear toStringList systemEnvironment",
        keys=_process_environment_keys,
    )
    classes["QStandardPaths"] = value("QStandardPaths", "writableLocation standardLocations findExecutable")
    classes["QDesktopServices"] = value("QDesktopServices", "", openUrl=staticmethod(dialogs.open_url))
    classes["QFile"] = register(
        "QFile", QtCore.QFile, _QOBJECT.with_methods(*api.words("exists open close fileName readAll remove"))
    )
    classes["QListWidgetItem"] = value("QListWidgetItem", text_item)


def _load_ui(self, qfile: PythonQtProxy) -> PythonQtProxy | None:
    from . import ui_file  # needs the stand-ins of this module

    return ui_file.load(qfile.fileName())


class _Qt:
    """The namespace `qt.Qt`: enumerators only."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for enumeration in (member for member in vars(QtCore.Qt).values() if isinstance(member, type)):
                if name in getattr(enumeration, "__members__", ()):
                    return conversion.QtEnum(enumeration[name])
        raise AttributeError(f"qt.Qt has no attribute '{name}'")


def build() -> types.ModuleType:
    """The module `qt`; a name that Slicer's own lacks is refused here already."""
    module = types.ModuleType("qt", "Stand-in for Slicer's qt, on PySide6.")
    if not classes:
        _define()
    for name, stand_in in classes.items():
        if not api.is_shown("qt", name):
            raise LookupError(f"Slicer's qt has no {name}.")
        setattr(module, name, stand_in)
    module.Qt = _Qt()
    return module
