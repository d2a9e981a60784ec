"""`slicer.app`, its layout manager and its main window, in PySide6 over a real MRML application."""

from __future__ import annotations

import platform
import sys

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from . import api
from .mrml_widgets import qMRMLWidget
from .scene import MrmlApplication


class qMRMLSliceWidget(qMRMLWidget):
    """One slice view; its pixels come from `slice_view.render_view`."""

    def __init__(self, logic):
        super().__init__()
        self._logic = logic

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    def setSliceOrientation(self, orientation: str) -> None:
        self._logic.GetSliceNode().SetOrientation(orientation)


class qMRMLLayoutManager(QtCore.QObject):
    """The slice views of the main window."""

    layoutChanged = Signal(int)

    def __init__(self, mrml: MrmlApplication):
        super().__init__()
        self._mrml, self._layout, self._widgets = mrml, 3, {}
        self._layout_node = None

    def sliceViewNames(self) -> list[str]:
        return list(self._mrml.slice_logics)

    def sliceWidget(self, name: str):
        logic = self._mrml.slice_logics.get(name)
        if logic is None:
            return None
        known = self._widgets.get(name)
        if known is None or known.sliceLogic() is not logic:
            known = self._widgets[name] = qMRMLSliceWidget(logic)
        return known

    def resetSliceViews(self) -> None:
        for logic in self._mrml.slice_logics.values():
            logic.FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """There are no 3D views."""

    def setLayout(self, number: int) -> None:
        self._layout = number
        self.layoutChanged.emit(number)

    def layoutLogic(self):
        import slicer

        logic = slicer.vtkMRMLLayoutLogic()
        logic.SetMRMLScene(self._mrml.scene)
        return logic

    def mrmlScene(self):
        return self._mrml.scene

    def mrmlSliceLogics(self):
        return self._mrml.application_logic.GetSliceLogics()

    def pauseRender(self) -> None:
        """Nothing renders by itself."""

    resumeRender = pauseRender

    def setRenderPaused(self, paused: bool) -> None:
        """Nothing renders by itself."""

    layout = Property(int, lambda self: self._layout, setLayout)
    threeDViewCount = Property(int, lambda self: 0)
    tableViewCount = Property(int, lambda self: 0)
    plotViewCount = Property(int, lambda self: 0)


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """The main window, empty."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")


class qSlicerApplication(QtCore.QObject):
    """The application object. `is_testing` and `has_main_window` say how it was started."""

    mrmlSceneChanged = Signal(object)
    aboutToQuit = Signal()
    startupCompleted = Signal()

    def __init__(self, home: str):
        super().__init__()
        self._home = home
        self.mrml = MrmlApplication(home)
        self._scene = self.mrml.scene
        self._layout_manager = qMRMLLayoutManager(self.mrml)
        self._main_window: qSlicerMainWindow | None = None
        self.is_testing = False

    # -- how a test starts it --

    def restart(self, *, has_main_window: bool, is_testing: bool) -> None:
        """As if Slicer had just been started."""
        self.is_testing = is_testing
        if self._main_window:
            self._main_window.deleteLater()
        self._main_window = qSlicerMainWindow() if has_main_window else None
        self.mrml.restart(with_slice_views=has_main_window)
        self.set_scene(self.mrml.scene)

    def set_scene(self, scene) -> None:
        """Give the application another scene, as the generic self-test without main window does."""
        import slicer

        slicer.mrmlScene = self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    # -- what Slicer shows --

    def mrmlScene(self):
        return self._scene

    def applicationLogic(self):
        return self.mrml.application_logic

    def layoutManager(self):
        return self._layout_manager if self._main_window else None

    def topLevelWidgets(self) -> list[QtWidgets.QWidget]:
        return [self._main_window] if self._main_window else []

    def testingEnabled(self) -> bool:
        return self.is_testing

    def processEvents(self) -> None:
        QtCore.QCoreApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)

    def settings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    userSettings = revisionUserSettings = settings

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    environment = startupEnvironment

    def setOverrideCursor(self, cursor) -> None:
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        QtWidgets.QApplication.restoreOverrideCursor()

    def pauseRender(self) -> None:
        """Nothing renders by itself."""

    resumeRender = pauseRender

    def setRenderPaused(self, paused: bool) -> None:
        """Nothing renders by itself."""

    def applicationFilePath(self) -> str:
        return sys.executable

    def translate(self, context: str, text: str) -> str:
        return text

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"

    applicationName = Property(str, lambda self: "Slicer")
    applicationVersion = Property(str, lambda self: api.read_api()["versions"]["slicer"])
    majorVersion = Property(int, lambda self: int(self.applicationVersion.split(".")[0]))
    minorVersion = Property(int, lambda self: int(self.applicationVersion.split(".")[1]))
    revision = Property(str, lambda self: "0")
    platform = Property(str, lambda self: f"{platform.system().lower()}-amd64")
    os = Property(str, lambda self: {"Darwin": "macosx", "Windows": "win"}.get(platform.system(), "linux"))
    slicerHome = Property(str, lambda self: self._home)
    temporaryPath = Property(str, lambda self: self._home)
    documentationBaseUrl = Property(str, lambda self: "https://slicer.readthedocs.io/")
