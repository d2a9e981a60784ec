"""The section "Suspicious places": a table of the regions of high error, and the views that go there."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from Module.conftest import section
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from T1T2TranslationLib import samples
from T1T2TranslationLib.translation import Translation

# (i, j, k) of the phantom's grid -> the error in a block of 7 x 7 x 7 voxels of 27 mm3 there; the second one is larger.
BLOCKS = {(16, 24, 24): (3, 300), (36, 44, 40): (4, 250)}


@pytest.fixture
def places(slicer_host, ready, head):
    """The section, opened, with two regions of error in the scene."""
    volume = ready.logic.volumes(head)["volume"]
    error = np.zeros(volume.shape, np.int16)
    for (i, j, k), (reach, value) in BLOCKS.items():
        error[i - reach : i + reach + 1, j - reach : j + reach + 1, k - reach : k + reach + 1] = value
        error[i, j, k] += 50  # the highest of all
    made = samples.phantom_translation(volume)
    ready._inputOfJob = head
    ready.onDone(Translation(made.synthetic, volume.with_array(error, "Error"), (), (), made.provenance))
    found = section(ready, "SuspiciousPlacesSection")
    found.ui.placesCollapsibleButton.click()
    slicer_host.wait_until(found.isUpToDate)
    return found


def texts(places) -> list[list[str]]:
    table = places.ui.placesTable
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def shown_point() -> list[float]:
    """RAS mm where the three planes of Slicer's own views meet."""
    views = ("Yellow", "Green", "Red")  # across R, A, S
    nodes = (slicer.util.getNode(f"vtkMRMLSliceNode{name}") for name in views)
    return [node.GetSliceToRAS().GetElement(axis, 3) for axis, node in enumerate(nodes)]


def ras(head, ijk) -> np.ndarray:
    matrix = slicer.vtkMRMLSliceNode().GetSliceToRAS()
    head.GetIJKToRASMatrix(matrix)
    return (slicer.util.arrayFromVTKMatrix(matrix) @ (*ijk, 1))[:3]


def test_the_region_with_most_error_comes_first_with_volume_errors_and_place(places):
    rows = texts(places)
    assert len(rows) == 2
    assert [float(row[2]) for row in rows] == [pytest.approx(250, abs=5), pytest.approx(300, abs=5)]
    assert float(rows[0][0]) == pytest.approx(7**3 * 0.027, rel=0.03)  # the outermost of 9 voxels are below 3/4 of the top
    assert rows[0][3].startswith("right, ")
    assert rows[1][3] == "left, central, lower"
    assert places.ui.placesLabel.text == "Places in the brain with an error from 100 (10 %), most error in all first: 2."


def test_a_click_takes_every_view_and_the_crosshair_there(places, head):
    table = places.ui.placesTable._unwrap()
    rectangle = table.visualItemRect(table.item(1, 0))
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=rectangle.center())
    expected = ras(head, (16, 24, 24))
    np.testing.assert_allclose(shown_point(), expected, atol=1e-3)
    crosshair = slicer.util.getNode("vtkMRMLCrosshairNodedefault").GetCrosshairRAS()
    np.testing.assert_allclose(crosshair, expected, atol=1e-3)


def test_next_and_previous_walk_through_the_table(places, head):
    assert not places.ui.previousButton.enabled
    places.ui.nextButton.click()
    np.testing.assert_allclose(shown_point(), ras(head, (36, 44, 40)), atol=1e-3)
    places.ui.nextButton.click()
    np.testing.assert_allclose(shown_point(), ras(head, (16, 24, 24)), atol=1e-3)
    assert not places.ui.nextButton.enabled
    places.ui.previousButton.click()
    np.testing.assert_allclose(shown_point(), ras(head, (36, 44, 40)), atol=1e-3)


def test_the_points_follow_the_transform_of_the_volume(slicer_host, places, head):
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift.SetMatrixTransformToParent(
        slicer.util.vtkMatrixFromArray(np.array([[1.0, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    )
    places.parameters.predictedErrorVolume.SetAndObserveTransformNodeID(shift.GetID())
    places.search()
    places.ui.nextButton.click()
    np.testing.assert_allclose(shown_point(), ras(head, (36, 44, 40)) + np.array((5, 0, 0)), atol=1e-3)


def test_a_higher_threshold_leaves_fewer_regions_and_none_is_said(slicer_host, places):
    places.parameters.errorThreshold = 280
    slicer_host.wait_until(places.isUpToDate)
    assert len(texts(places)) == 1
    places.parameters.errorThreshold = 400
    slicer_host.wait_until(places.isUpToDate)
    assert texts(places) == []
    assert "No region of the brain reaches an error of 400 (40 %)" in places.ui.placesLabel.text
    assert not places.ui.nextButton.enabled


@pytest.mark.parametrize("changed", ["scan cropped", "scan emptied", "scan moved", "scan and synthetic cropped"])
def test_places_are_found_where_the_scan_is_no_longer_what_was_translated(slicer_host, places, head, changed):
    before = [row[1:3] for row in texts(places)]  # the volumes differ by a voxel where the brain's rim does
    if changed == "scan emptied":
        head.SetAndObserveImageData(None)
    elif changed == "scan moved":
        head.SetOrigin(900, 900, 900)
    else:
        slicer.util.updateVolumeFromArray(head, slicer.util.arrayFromVolume(head)[:9].copy())
    if "synthetic" in changed:
        synthetic = places.parameters.syntheticVolume
        slicer.util.updateVolumeFromArray(synthetic, slicer.util.arrayFromVolume(synthetic)[:9].copy())
    places.ui.placesTable.setRowCount(0)
    places.search()
    assert [row[1:3] for row in texts(places)] == before


def test_a_closed_scene_leaves_no_rows(slicer_host, places):
    slicer.mrmlScene.Clear()
    assert texts(places) == []
    assert not places.ui.placesCollapsibleButton.visible
