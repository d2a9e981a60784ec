"""`slicer.app`, its layout manager and its main window, in PySide6 over a real MRML application."""

from __future__ import annotations

import platform
import sys

import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from . import api
from .mrml_widgets import qMRMLWidget
from .scene import MrmlApplication


class qMRMLSliceView(QtWidgets.QWidget):
    """What draws one slice view: what is added to its renderer is drawn over the slice by `slice_view.render_view`."""

    def __init__(self) -> None:
        super().__init__()
        self._window, self.renders = vtk.vtkRenderWindow(), 0
        self._window.SetOffScreenRendering(True)
        self._window.AddRenderer(vtk.vtkRenderer())
        self._annotation = vtk.vtkCornerAnnotation()
        self._window.GetRenderers().GetFirstRenderer().AddViewProp(self._annotation)

    def renderWindow(self):
        return self._window

    def cornerAnnotation(self):
        return self._annotation

    def scheduleRender(self) -> None:
        """Nothing renders by itself; counted, so that a test sees that it was asked for."""
        self.renders += 1


class qMRMLSliceWidget(qMRMLWidget):
    """One slice view; its pixels come from `slice_view.render_view`."""

    def __init__(self, logic):
        super().__init__()
        self._logic, self._view = logic, qMRMLSliceView()

    def sliceLogic(self):
        return self._logic

    def sliceView(self):
        return self._view

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    def setSliceOrientation(self, orientation: str) -> None:
        self._logic.GetSliceNode().SetOrientation(orientation)


class qMRMLPlotView(QtWidgets.QWidget):
    """What draws a chart; a test says which points the user chose with `dataSelected.emit`."""

    dataSelected = Signal(object, object)  # vtkStringArray* of series, vtkCollection* of vtkIdTypeArray


class qMRMLPlotWidget(qMRMLWidget):
    """One chart view."""

    def __init__(self, node):
        super().__init__()
        self._node, self._view = node, qMRMLPlotView()

    def mrmlPlotViewNode(self):
        return self._node

    def plotView(self):
        return self._view


class qMRMLLayoutManager(QtCore.QObject):
    """The views of the main window: MRML's own layout logic makes their nodes, this gives each slice node its logic."""

    layoutChanged = Signal(int)

    def __init__(self, mrml: MrmlApplication):
        super().__init__()
        self._mrml, self._widgets, self._plots = mrml, {}, {}
        self._logic, self._tag, self._shown = None, None, 0

    def start(self) -> None:
        """Follow the layout node of a new scene, which begins with Slicer's four-up layout."""
        import slicer

        self.stop()
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(self._mrml.scene)
        node = self._logic.GetLayoutNode()
        node.SetViewArrangement(node.SlicerLayoutFourUpView)
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._follow)
        self._follow(node)

    def stop(self) -> None:
        """Forget the scene."""
        if self._logic is not None:
            self._logic.GetLayoutNode().RemoveObserver(self._tag)
            self._logic.SetMRMLScene(None)
            self._logic = None
        self._widgets.clear()
        self._plots.clear()

    def _follow(self, node, event=None) -> None:
        self._mrml.complete_slice_views()
        if node.GetViewArrangement() != self._shown:
            self._shown = node.GetViewArrangement()
            self.layoutChanged.emit(self._shown)

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

    def plotWidget(self, index: int):
        import slicer

        node = slicer.util.getNodesByClass("vtkMRMLPlotViewNode", self._mrml.scene)[index]
        return self._plots.setdefault(node.GetID(), qMRMLPlotWidget(node))

    def _plot_count(self) -> int:
        import slicer

        return len(slicer.util.getNodesByClass("vtkMRMLPlotViewNode", self._mrml.scene))

    def resetSliceViews(self) -> None:
        for logic in self._mrml.slice_logics.values():
            logic.FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """There are no 3D views."""

    def setLayout(self, number: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(number)

    def layoutLogic(self):
        return self._logic

    def mrmlScene(self):
        return self._mrml.scene

    def mrmlSliceLogics(self):
        return self._mrml.application_logic.GetSliceLogics()

    def pauseRender(self) -> None:
        """Nothing renders by itself."""

    resumeRender = pauseRender

    def setRenderPaused(self, paused: bool) -> None:
        """Nothing renders by itself."""

    layout = Property(int, lambda self: self._shown, setLayout)
    threeDViewCount = Property(int, lambda self: 0)
    tableViewCount = Property(int, lambda self: 0)
    plotViewCount = Property(int, _plot_count)


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
        self._layout_manager.stop()
        self.mrml.restart(with_slice_views=has_main_window)
        if has_main_window:
            self._layout_manager.start()
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

    def currentLogFile(self) -> str:
        """Where Slicer writes its log; nothing is written here unless a test does."""
        return f"{self._home}/Slicer.log"

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"

    applicationName = Property(str, lambda self: "Slicer")
    applicationVersion = Property(str, lambda self: api.read_api()["versions"]["slicer"])
    majorVersion = Property(int, lambda self: int(self.applicationVersion.split(".")[0]))
    minorVersion = Property(int, lambda self: int(self.applicationVersion.split(".")[1]))
    revision = Property(str, lambda self: "0")
    platform = Property(str, lambda self: f"{platform.system().lower()}-amd64")
    os = Property(str, lambda self: {"Darwin": "macosx", "Windows": "win"}.get(platform.system(), "linux"))
    defaultScenePath = Property(str, lambda self: self._home)
    slicerHome = Property(str, lambda self: self._home)
    temporaryPath = Property(str, lambda self: self._home)
    documentationBaseUrl = Property(str, lambda self: "https://slicer.readthedocs.io/")
