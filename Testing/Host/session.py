"""Puts the stand-ins in place of Slicer's Python modules, loads scripted modules on them, and starts afresh for every test."""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import shutil
import sys
import tempfile
import types
from functools import cache
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
from PySide6 import QtCore, QtWidgets  # after the platform is chosen

from . import application, conversion, ctk_stand_in, dialogs, modules, qt_stand_in, signals, slots

if sys.version_info < (3, 12):
    # PySide6 6.12 takes None for immortal, which it is from Python 3.12 on, and drops a reference to it with every call that
    # returns nothing; after some thousand calls None is gone. This many references last.
    ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


class Host:
    """A stand-in for one running Slicer.

    app: what `slicer.app` shows; user: what the user saw and answers; failures: what Slicer would have printed and forgotten.
    """

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="host-"))
        atexit.register(shutil.rmtree, self._home, ignore_errors=True)
        self._qt_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
        self._use_own_settings()
        self._application = application.qSlicerApplication(str(self._home))
        self._widgets: list = []
        self.user, self.failures = dialogs.user, slots.failures
        _install(self._application)
        self.app = slicer.app

    def _use_own_settings(self) -> None:
        QtCore.QCoreApplication.setOrganizationName("Host")
        QtCore.QCoreApplication.setApplicationName("Slicer")
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, str(self._home))

    def restart(self, *, has_main_window: bool = True, is_testing: bool = False) -> None:
        """As if Slicer had just been started: empty scene and settings, nothing seen, nothing answered."""
        self.close_widgets()
        self.user.reset()
        self.failures.clear()
        QtCore.QSettings().clear()
        modules.registered_sample_data.clear()
        slicer.modules.unload_scripted()
        slicer.selfTests.clear()
        signals.Connections.of(self._application).clear()
        self._application.restart(has_main_window=has_main_window, is_testing=is_testing)

    def use_foreign_scene(self) -> object:
        """Give the application another, empty scene, as the generic self-test does; returns it."""
        scene = slicer.vtkMRMLScene()
        self._application.set_scene(scene)
        return scene

    def load_module(self, path: str | Path) -> types.ModuleType:
        """Import a scripted module's file as Slicer does at start: its folder is on sys.path, its module object is made."""
        path = Path(path)
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        parent = modules.ScriptedModule(path)
        slicer.modules.add(path.stem.lower(), parent)
        parent.python_module = getattr(module, path.stem)(parent)
        self._application.startupCompleted.emit()
        self.process_events()
        return module

    def open_panel(self, module: types.ModuleType):
        """The module's widget object, set up in a parent that knows the scene, as when a user chooses the module."""
        parent = slicer.qMRMLWidget()
        parent.setLayout(sys.modules["qt"].QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        name = module.__name__
        widget = getattr(module, f"{name}Widget")(parent)
        slicer.modules.add(f"{name}Widget", widget)
        self._widgets.append(widget)
        widget.setup()
        if hasattr(widget, "enter"):
            widget.enter()
        parent.show()
        self.process_events()
        return widget

    def close_widgets(self) -> None:
        """Clean up and delete every panel that `open_panel` made."""
        while self._widgets:
            widget = self._widgets.pop()
            widget.cleanup()
            widget.parent.deleteLater()
        self.process_events()

    def process_events(self, milliseconds: int = 0) -> None:
        """Let the event loop run until nothing is left, and at least so long."""
        timer = QtCore.QElapsedTimer()
        timer.start()
        self._application.processEvents()
        while timer.elapsed() < milliseconds:
            QtCore.QThread.msleep(5)
            self._application.processEvents()

    def wait_until(self, condition, timeout_s: float = 30.0) -> None:
        """Let the event loop run until `condition()` holds; TimeoutError where it does not in time."""
        timer = QtCore.QElapsedTimer()
        timer.start()
        while not condition():
            if timer.elapsed() > timeout_s * 1000:
                raise TimeoutError(f"Still not true after {timeout_s} s.")
            self.process_events(5)


def _install(app: application.qSlicerApplication) -> None:
    sys.modules["qt"] = qt_stand_in.build()
    sys.modules["ctk"], slicer_classes = ctk_stand_in.build()
    for name in _names_that_leak_from_util():
        delattr(slicer, name)
    vars(slicer).update(slicer_classes)
    slicer.app = conversion.to_python(app)
    slicer.mrmlScene = app.mrmlScene()
    slicer.selfTests = {}
    modules.install(app.mrml)


def _names_that_leak_from_util() -> list[str]:
    """slicer-core copies the functions of `slicer.util` into `slicer`, where Slicer has none of them."""
    util = vars(slicer.util)
    return [name for name in vars(slicer) if not name.startswith(("_", "vtk")) and util.get(name) is vars(slicer)[name]]


@cache
def host() -> Host:
    """The one host of this process; Qt and `slicer` are loaded by the first call."""
    return Host()
