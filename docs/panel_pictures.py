"""Pictures of the panel and of its sections for the README: grabbed from the real widgets, in Slicer's light and dark colours."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import slicer
import vtk
from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template, load_mni152_wm_template
from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.volume import Volume
from vtk.util.numpy_support import vtk_to_numpy

WIDTH = 420  # what Slicer leaves a module on a screen of 1366 x 768
MARGIN = 8  # around a section
CHART_SIZE = (660, 330)
TIMEOUT_S = 600
# Slicer's dark palette, as far as the panel shows it.
DARK = {
    "Window": "#353535",
    "WindowText": "#ffffff",
    "Base": "#232323",
    "AlternateBase": "#2d2d2d",
    "Text": "#ffffff",
    "Button": "#353535",
    "ButtonText": "#ffffff",
    "Link": "#6db3f2",
    "Highlight": "#2a82da",
}
DARK_DISABLED = "#808080"
# How bright the tissues are in the T2 that stands in for a real one, 1000 = fluid.
SIMULATED_T2 = {"fluid": 1000, "grey": 300, "white": 200}


# ---- grabbing


def whole(host, panel) -> np.ndarray:
    """The panel from its first to its last section, (rows, columns, 3) uint8."""
    widget = panel.parent._unwrap()
    widget.setFixedWidth(WIDTH)
    host.process_events(200)
    widget.setFixedHeight(widget.layout().totalHeightForWidth(WIDTH))
    host.process_events(200)
    image = widget.grab().toImage()
    image = image.convertToFormat(image.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    last = find(panel, "Help").widget._unwrap()
    end = last.mapTo(widget, last.rect().bottomLeft()).y() + 3 * MARGIN  # a panel that was higher before may still be
    return rows[: round(end * image.width() / WIDTH), : 3 * image.width()].reshape(-1, image.width(), 3).copy()


def section(host, panel, name: str) -> np.ndarray:
    """One section, unfolded for the picture."""
    found = find(panel, name)
    header = next(widget for widget in vars(found.ui).values() if widget.className() == "ctkCollapsibleButton")
    header.collapsed = False
    panel.update()
    host.process_events(500)
    picture, around, inside = whole(host, panel), panel.parent._unwrap(), found.widget._unwrap()
    scale, top = picture.shape[1] / around.width(), inside.mapTo(around, QPoint(0, 0)).y()
    header.collapsed = True
    return picture[round(scale * (top - MARGIN)) : round(scale * (top + inside.height() + MARGIN))]


def find(panel, name: str):
    """A section of the panel by its class's name."""
    return next(found for found in panel.sections if type(found).__name__ == f"{name}Section")


@contextmanager
def dark_colours():
    """The application in Slicer's dark theme."""
    before, palette = QPalette(QApplication.palette()), QPalette()
    for role, colour in DARK.items():
        palette.setColor(getattr(QPalette.ColorRole, role), QColor(colour))
    for role in ("WindowText", "Text", "ButtonText"):
        palette.setColor(QPalette.ColorGroup.Disabled, getattr(QPalette.ColorRole, role), QColor(DARK_DISABLED))
    QApplication.setPalette(palette)
    yield
    QApplication.setPalette(before)


# ---- what the sections show


def simulated_t2(t1: Volume) -> Volume:
    """A T2 drawn from the template's grey and white matter: no scan, but something to measure against; on the T1's grid."""
    brain, grey, white = (
        np.asarray(load(resolution=1).dataobj, dtype=np.float32)
        for load in (load_mni152_brain_mask, load_mni152_gm_template, load_mni152_wm_template)
    )
    fluid = np.clip(brain - grey - white, 0, 1)
    parts = {"fluid": fluid, "grey": grey * brain, "white": white * brain}
    array = sum(SIMULATED_T2[tissue] * share for tissue, share in parts.items())
    return Volume(array.astype(np.int16), t1.affine, "simulated T2")


def chart(panel, name: str) -> np.ndarray:
    """A chart as MRML describes it, drawn by VTK as Slicer's chart view draws it; (rows, columns, 3) uint8."""
    from T1T2TranslationSlicer import charts

    node = charts.show(name, panel._parameterNode)
    drawn = vtk.vtkChartXY()
    for index in range(node.GetNumberOfPlotSeriesNodes()):
        add_series(drawn, node.GetNthPlotSeriesNode(index))
    drawn.SetShowLegend(node.GetLegendVisibility())
    for axis, title in ((vtk.vtkAxis.BOTTOM, node.GetXAxisTitle()), (vtk.vtkAxis.LEFT, node.GetYAxisTitle())):
        drawn.GetAxis(axis).SetTitle(title)
    view = vtk.vtkContextView()
    view.GetRenderWindow().SetOffScreenRendering(True)
    view.GetRenderWindow().SetSize(*CHART_SIZE)
    view.GetRenderer().SetBackground(1, 1, 1)
    view.GetScene().AddItem(drawn)
    view.Render()
    shot = vtk.vtkWindowToImageFilter()
    shot.SetInput(view.GetRenderWindow())
    shot.Update()
    width, height, _ = shot.GetOutput().GetDimensions()
    return vtk_to_numpy(shot.GetOutput().GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()


def add_series(drawn: vtk.vtkChartXY, series) -> None:
    """One series of a plot chart node."""
    is_points = series.GetPlotType() == slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter and not series.GetLineStyle()
    plot = drawn.AddPlot(vtk.vtkChart.POINTS if is_points else vtk.vtkChart.LINE)
    table = series.GetTableNode().GetTable()
    plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
    plot.SetColorF(*series.GetColor())
    plot.SetLabel(series.GetName())


def run_batch(host, panel, folder: Path, t1: Volume) -> None:
    """A list with volumes in several states: done, refused, running, waiting."""
    folder.mkdir()
    write_volume(t1, folder / "patient-1" / "T1w.nii.gz")
    write_volume(Volume(t1.array[:, :, :9], t1.affine), folder / "patient-2" / "localizer.nii.gz")
    for patient in ("patient-3", "patient-4"):
        (folder / patient).mkdir()
        shutil.copy(folder / "patient-1" / "T1w.nii.gz", folder / patient / "T1w.nii.gz")
    batch = find(panel, "Batch")
    batch.addFolder(str(folder))
    host.wait_until(lambda: len(batch.queue.items) == 4, TIMEOUT_S)
    batch.onStart()
    host.wait_until(lambda: batch.queue.ended == 2 and batch.queue.running is not None, TIMEOUT_S)


def compare_with_simulated_t2(host, panel, t1: Volume) -> None:
    """Choose the simulated T2 as the real one, and wait for the measures."""
    t2 = simulated_t2(t1)
    node = slicer.util.addVolumeFromArray(t2.array.transpose(2, 1, 0), t2.affine, t2.name)
    panel.onReferenceChosen(node)
    host.wait_until(lambda: not panel.worker.talk.is_busy, TIMEOUT_S)
    if panel._parameterNode.absoluteErrorVolume is None:
        raise SystemExit(panel.ui.messageLabel.text)


def make(host, panel, scratch: Path) -> dict[str, np.ndarray]:
    """The pictures of the sections, by the name of their file. The panel must hold results; in the end a batch is stopped."""
    t1 = read_volume(scratch / "MNI152-T1.nii.gz")
    pictures = {"places": section(host, panel, "SuspiciousPlaces"), "provenance": section(host, panel, "Record")}
    pictures["models"] = section(host, panel, "Models")
    compare_with_simulated_t2(host, panel, t1)
    pictures["measures"] = section(host, panel, "Measures")
    pictures["chart"] = chart(panel, "slices")
    find(panel, "Measures").onChart(False)
    with dark_colours():
        pictures["panel-dark"] = whole(host, panel)
    run_batch(host, panel, scratch / "scans", t1)
    pictures["batch"] = section(host, panel, "Batch")
    find(panel, "Batch").onCancel()
    return pictures
