"""A real MRML scene with the application logic, colours, subject hierarchy and slice logics that Slicer starts with."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import slicer
import vtk

SLICE_VIEWS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}

# Slicer's colour table files, which slicer-core does not bring -> the colour map of matplotlib that is the same, or near it.
COLOR_FILES = {
    "Inferno": "inferno", "Magma": "magma", "Viridis": "viridis", "Plasma": "plasma", "DivergingBlueRed": "coolwarm",
}  # fmt: skip


def _write_color_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, colormap in COLOR_FILES.items():
        colors = matplotlib.colormaps[colormap](np.linspace(0, 1, 256), bytes=True)
        lines = (f"{index} {name}{index} {' '.join(map(str, color))}" for index, color in enumerate(colors))
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


class MrmlApplication:
    """The logics of one application around one scene; without slice views where there is no main window."""

    def __init__(self, home: str) -> None:
        self.scene = slicer.vtkMRMLScene()
        self._cache, self._files = slicer.vtkCacheManager(), slicer.vtkDataIOManager()  # without them no bundle is read
        self._cache.SetRemoteCacheDirectory(home)
        self._files.SetCacheManager(self._cache)
        self.scene.SetCacheManager(self._cache)
        self.scene.SetDataIOManager(self._files)
        self.application_logic = slicer.vtkSlicerApplicationLogic()
        _write_color_files(Path(home, "share", "ColorFiles"))
        self.application_logic.SetHomeDirectory(home)
        self.application_logic.SetShareDirectory("share")
        self.application_logic.SetMRMLScene(self.scene)
        self.application_logic.GetColorLogic().SetMRMLScene(self.scene)
        self.application_logic.SetSliceLogics(vtk.vtkCollection())
        self.application_logic.SetViewLogics(vtk.vtkCollection())
        slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(self.application_logic)
        self.colors = self._register("Colors", slicer.vtkSlicerColorLogic())
        self.markups = self._register("Markups", slicer.vtkSlicerMarkupsLogic())
        self.volumes = self._register("Volumes", slicer.vtkSlicerVolumesLogic())
        self.segmentations = self._register("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic())
        self.subject_hierarchy = self._register("SubjectHierarchy", slicer.vtkSlicerSubjectHierarchyModuleLogic())
        self.slice_logics: dict[str, slicer.vtkMRMLSliceLogic] = {}

    def _register(self, name: str, logic):
        logic.SetMRMLApplicationLogic(self.application_logic)
        logic.SetMRMLScene(self.scene)
        self.application_logic.SetModuleLogic(name, logic)
        return logic

    def restart(self, with_slice_views: bool) -> None:
        """An empty scene as after "Close scene", with what Slicer puts into it."""
        self._drop_slice_views()
        self.scene.Clear(True)
        self.application_logic.SetMRMLScene(None)
        self.application_logic.SetMRMLScene(self.scene)  # makes the selection and interaction nodes again
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        self.colors.AddDefaultColorNodes()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        if with_slice_views:
            self._add_slice_views()

    def _add_slice_views(self) -> None:
        for name, orientation in SLICE_VIEWS.items():
            self._add_slice_view(name)
            self.slice_logics[name].GetSliceNode().SetOrientation(orientation)

    def _add_slice_view(self, name: str) -> None:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self.application_logic)
        self.application_logic.GetSliceLogics().AddItem(logic)
        logic.SetMRMLScene(self.scene)
        node = self.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if node is None:
            logic.AddSliceNode(name)
        else:
            logic.SetSliceNode(node)
        logic.ResizeSliceNode(256, 256)
        self.slice_logics[name] = logic

    def complete_slice_views(self) -> None:
        """A logic for every slice node that a layout has made."""
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode", self.scene):
            if node.GetLayoutName() not in self.slice_logics:
                self._add_slice_view(node.GetLayoutName())

    def _drop_slice_views(self) -> None:
        for logic in self.slice_logics.values():
            self.application_logic.GetSliceLogics().RemoveItem(logic)
            logic.SetMRMLScene(None)
        self.slice_logics.clear()
