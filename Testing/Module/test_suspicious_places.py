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
BLOCKS = {(12, 20, 20): (3, 300), (38, 50, 45): (4, 250)}


@pytest.fixture
def places(slicer_host, ready, head):
    """The section, opened, with two regions of error in the scene."""
    volume = ready.logic.volumes(head)["volume"]
    error = np.zeros(volume.shape, np.int16)
    for (i, j, k), (reach, value) in BLOCKS.items():
        error[i - reach : i + reach + 1, j - reach : j + reach + 1, k - reach : k + reach + 1] = value
        error[i, j, k] += 10  # the highest of all
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


def test_the_largest_region_comes_first_with_volume_errors_and_place(places):
    rows = texts(places)
    assert len(rows) == 2
    assert [row[2] for row in rows] == ["260", "310"]
    assert float(rows[0][0]) == pytest.approx(9**3 * 0.027, rel=0.1)  # smoothing takes the corners
    assert rows[0][3].startswith("right, ")
    assert rows[1][3] == "left, posterior, lower"
    assert "2 regions of an error from 100 (10 %)" in places.ui.placesLabel.text


def test_a_click_takes_every_view_and_the_crosshair_there(places, head):
    table = places.ui.placesTable._unwrap()
    rectangle = table.visualItemRect(table.item(1, 0))
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=rectangle.center())
    expected = ras(head, (12, 20, 20))
    np.testing.assert_allclose(shown_point(), expected, atol=1e-3)
    crosshair = slicer.util.getNode("vtkMRMLCrosshairNodedefault").GetCrosshairRAS()
    np.testing.assert_allclose(crosshair, expected, atol=1e-3)


def test_next_and_previous_walk_through_the_table(places, head):
    assert not places.ui.previousButton.enabled
    places.ui.nextButton.click()
    np.testing.assert_allclose(shown_point(), ras(head, (38, 50, 45)), atol=1e-3)
    places.ui.nextButton.click()
    np.testing.assert_allclose(shown_point(), ras(head, (12, 20, 20)), atol=1e-3)
    assert not places.ui.nextButton.enabled
    places.ui.previousButton.click()
    np.testing.assert_allclose(shown_point(), ras(head, (38, 50, 45)), atol=1e-3)


def test_the_points_follow_the_transform_of_the_volume(slicer_host, places, head):
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift.SetMatrixTransformToParent(
        slicer.util.vtkMatrixFromArray(np.array([[1.0, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    )
    places.parameters.predictedErrorVolume.SetAndObserveTransformNodeID(shift.GetID())
    places.search()
    places.ui.nextButton.click()
    np.testing.assert_allclose(shown_point(), ras(head, (38, 50, 45)) + np.array((5, 0, 0)), atol=1e-3)


def test_a_higher_threshold_leaves_fewer_regions_and_none_is_said(slicer_host, places):
    places.parameters.errorThreshold = 280
    slicer_host.wait_until(places.isUpToDate)
    assert len(texts(places)) == 1
    places.parameters.errorThreshold = 400
    slicer_host.wait_until(places.isUpToDate)
    assert texts(places) == []
    assert "No region reaches an error of 400 (40 %)" in places.ui.placesLabel.text
    assert not places.ui.nextButton.enabled


def test_a_closed_scene_leaves_no_rows(slicer_host, places):
    slicer.mrmlScene.Clear()
    assert texts(places) == []
    assert not places.ui.placesCollapsibleButton.visible
