"""Off-screen pictures of real slice views: MRML's own slice pipeline, rendered by VTK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy


def render_slice_view(
    path: str | Path | None,
    orientation: str,
    background,
    foreground=None,
    opacity: float = 0.5,
    *,
    offset_mm: float | None = None,
    size: tuple[int, int] = (400, 400),
) -> np.ndarray:
    """A picture of one plane of a volume, with another laid over it, and its colour legend where it has one.

    orientation: "Axial", "Coronal" or "Sagittal". offset_mm: along the plane's normal (RAS); by default the middle of the volume.
    Returns the pixels (height, width, 3) uint8, top row first; writes them as PNG if `path` is given.
    """
    scene = background.GetScene()
    known = set(_nodes(scene))
    logics = slicer.app.applicationLogic().GetSliceLogics()
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
    logic.SetMRMLScene(scene)
    logic.AddSliceNode("Picture")
    logics.AddItem(logic)  # where the legend looks for the volumes shown
    try:
        logic.GetSliceNode().SetOrientation(orientation)
        composite = logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(background.GetID())
        composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
        composite.SetForegroundOpacity(opacity)
        logic.ResizeSliceNode(*size)
        logic.FitSliceToBackground()
        if offset_mm is not None:
            logic.SetSliceOffset(offset_mm)
        return _render(path, logic, size)
    finally:
        logics.RemoveItem(logic)
        logic.SetMRMLScene(None)
        for node in set(_nodes(scene)) - known:
            scene.RemoveNode(node)


def render_view(path: str | Path | None, name: str, *, size: tuple[int, int] = (400, 400)) -> np.ndarray:
    """A slice view of the layout by name as it is now, with what a module added to its renderer; see `render_slice_view`."""
    logic = slicer.app.applicationLogic().GetSliceLogicByLayoutName(name)
    logic.ResizeSliceNode(*size)
    window = slicer.app.layoutManager().sliceWidget(name).sliceView().renderWindow()
    return _render(path, logic, size, window.GetRenderers().GetFirstRenderer().GetViewProps())


def _nodes(scene) -> list:
    return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]


def _render(path: str | Path | None, logic, size: tuple[int, int], props=()) -> np.ndarray:
    mapper = vtk.vtkImageMapper()  # the slice pipeline hands over RGBA; window and level are the display nodes' business
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    image = vtk.vtkActor2D()
    image.SetMapper(mapper)
    image.GetProperty().SetDisplayLocationToBackground()
    renderer = vtk.vtkRenderer()
    renderer.AddViewProp(image)
    for prop in props:
        renderer.AddViewProp(prop)
    window = _off_screen_window(renderer, size)
    managers = _legend_managers(logic.GetSliceNode(), renderer)
    _announce_layers(logic.GetSliceCompositeNode())
    window.Render()
    pixels = _grab(window, path)
    managers.SetMRMLDisplayableNode(None)
    window.Finalize()
    return pixels


def _off_screen_window(renderer, size: tuple[int, int]):
    warnings = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()  # VTK looks for an X server first and tells that there is none
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetNumberOfLayers(2)  # the legend has its own, over the image
    window.SetAlphaBitPlanes(True)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    interactor = vtk.vtkGenericRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    vtk.vtkObject.SetGlobalWarningDisplay(warnings)
    return window


def _legend_managers(slice_node, renderer):
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    name = "vtkMRMLColorLegendDisplayableManager"
    if not factory.IsDisplayableManagerRegistered(name):
        factory.RegisterDisplayableManager(name)
    managers = slicer.vtkMRMLDisplayableManagerGroup()
    managers.SetRenderer(renderer)
    managers.Initialize(factory, renderer)
    managers.SetMRMLDisplayableNode(slice_node)
    return managers


def _announce_layers(composite) -> None:
    """Make the legend's manager look for legends that are older than itself: it does so when the layers change."""
    flags = composite.GetInteractionFlags()
    composite.SetInteractionFlags(composite.BackgroundVolumeFlag | composite.ForegroundVolumeFlag)
    composite.Modified()
    composite.SetInteractionFlags(flags)


def _grab(window, path: str | Path | None) -> np.ndarray:
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.ReadFrontBufferOff()
    grabber.Update()
    image = grabber.GetOutput()
    if path is not None:
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputData(image)
        writer.Write()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()
