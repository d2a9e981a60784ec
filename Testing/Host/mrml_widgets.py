"""Slicer's MRML widgets that a panel uses, in PySide6, over a real scene."""

from __future__ import annotations

from typing import ClassVar

import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal


class _SceneObserver:
    """Observes some events of one scene at a time."""

    def __init__(self, *events_and_callbacks):
        self._wanted = events_and_callbacks
        self._scene, self._tags = None, []

    def observe(self, scene) -> None:
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        self._tags = [scene.AddObserver(event, callback) for event, callback in self._wanted] if scene else []


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that knows a scene and tells when it gets another."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._scene = None

    def setMRMLScene(self, scene) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self._scene


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Chooses a node of some classes among those of a scene, and follows the scene."""

    currentNodeChanged = Signal(object)
    currentNodeIsValidChanged = Signal(bool)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    currentNodeRenamed = Signal(str)
    signal_of: ClassVar = {"currentNodeChanged(bool)": "currentNodeIsValidChanged"}

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        import slicer

        self._box = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._scene, self._current_id = None, ""
        self._node_types, self._hidden_types, self._attributes = [], [], []
        self._flags = {"none": False, "add": True, "remove": True, "edit": False, "rename": False, "hidden": False}
        self._flags.update(children=True, select=True)
        self._base_name, self._none_display = "", "None"
        scene_class = slicer.vtkMRMLScene
        self._observer = _SceneObserver(
            (scene_class.NodeAddedEvent, self._on_node_added),
            (scene_class.NodeAboutToBeRemovedEvent, self._on_node_about_to_be_removed),
            (scene_class.NodeRemovedEvent, self._on_scene_changed),
            (scene_class.EndBatchProcessEvent, self._on_scene_changed),
            (scene_class.EndCloseEvent, self._on_scene_changed),
        )
        self._box.activated.connect(self._on_activated)
        self.destroyed.connect(lambda *_, observer=self._observer: observer.observe(None))

    # -- the scene --

    def setMRMLScene(self, scene) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self._observer.observe(scene)
        self._refill()

    def mrmlScene(self):
        return self._scene

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_added(self, scene, event, node) -> None:
        if not self._accepts(node):
            return
        self._refill()
        self.nodeAdded.emit(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_about_to_be_removed(self, scene, event, node) -> None:
        if self._accepts(node):
            self.nodeAboutToBeRemoved.emit(node)

    def _on_scene_changed(self, scene, event) -> None:
        self._refill()

    def _accepts(self, node) -> bool:
        if node.GetHideFromEditors() and not self._flags["hidden"]:
            return False
        if any(node.IsA(hidden) for hidden in self._hidden_types):
            return False
        if not all(node.GetAttribute(name) == value for name, value in self._attributes):
            return False
        if self._flags["children"]:
            return any(node.IsA(kind) for kind in self._node_types)
        return node.GetClassName() in self._node_types

    def _nodes(self) -> list:
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._accepts(node)]

    def _refill(self) -> None:
        nodes = self._nodes()
        self._box.clear()
        if self._flags["none"]:
            self._box.addItem(self._none_display, "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
        ids = [node.GetID() for node in nodes]
        if self._current_id in ids:
            chosen = self._current_id
        elif self._flags["none"] or not ids:
            chosen = ""
        else:
            chosen = ids[0]  # without "None" a selector always shows a node
        self._choose(chosen)

    # -- the current node --

    def _choose(self, node_id: str) -> None:
        self._box.setCurrentIndex(self._box.findData(node_id))
        if node_id == self._current_id:
            return
        self._current_id = node_id
        node = self.currentNode()
        self.currentNodeChanged.emit(node)
        self.currentNodeIsValidChanged.emit(node is not None)
        self.currentNodeIDChanged.emit(node_id)

    def _on_activated(self, index: int) -> None:
        self._choose(self._box.itemData(index))
        self.nodeActivated.emit(self.currentNode())

    def currentNode(self):
        return self._scene.GetNodeByID(self._current_id) if self._scene and self._current_id else None

    def setCurrentNode(self, node) -> None:
        self.setCurrentNodeID(node.GetID() if hasattr(node, "GetID") else node or "")

    def setCurrentNodeID(self, node_id: str | None) -> None:
        known = self._box.findData(node_id or "") >= 0
        self._choose(node_id if known and node_id else "")

    def setCurrentNodeIndex(self, index: int) -> None:
        self._choose(self._nodes()[index].GetID())

    def nodeFromIndex(self, index: int):
        return self._nodes()[index]

    def nodeCount(self) -> int:
        return len(self._nodes())

    def addAttribute(self, node_type: str, name: str, value: str | None = None) -> None:
        self._attributes.append((name, value))
        self._refill()

    def addNode(self, node_type: str | None = None):
        kind = node_type or self._node_types[0]
        name = self._scene.GenerateUniqueName(self._base_name or kind.removeprefix("vtkMRML").removesuffix("Node"))
        node = self._scene.AddNewNodeByClass(kind, name)
        if self._flags["select"]:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        self._scene.RemoveNode(self.currentNode())

    # -- properties --

    def _set_node_types(self, types: list[str]) -> None:
        self._node_types = list(types)
        self._refill()

    def _set_hidden_types(self, types: list[str]) -> None:
        self._hidden_types = list(types)
        self._refill()

    def _set_flag(self, name: str, on: bool) -> None:
        self._flags[name] = on
        self._refill()

    def _set_base_name(self, name: str) -> None:
        self._base_name = name

    def _set_none_display(self, text: str) -> None:
        self._none_display = text
        self._refill()

    def _flag(name: str) -> Property:
        return Property(bool, lambda self: self._flags[name], lambda self, on: self._set_flag(name, on))

    nodeTypes = Property("QStringList", lambda self: self._node_types, _set_node_types)
    hideChildNodeTypes = Property("QStringList", lambda self: self._hidden_types, _set_hidden_types)
    currentNodeID = Property(str, lambda self: self._current_id, setCurrentNodeID)
    baseName = Property(str, lambda self: self._base_name, _set_base_name)
    noneDisplay = Property(str, lambda self: self._none_display, _set_none_display)
    noneEnabled, addEnabled, removeEnabled = _flag("none"), _flag("add"), _flag("remove")
    editEnabled, renameEnabled, showHidden = _flag("edit"), _flag("rename"), _flag("hidden")
    showChildNodeTypes, selectNodeUponCreation = _flag("children"), _flag("select")
    del _flag
