"""A box in the scene, however it is turned and moved, restricts a translation; it is remembered and can be chosen again."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
import vtk
from Module.conftest import section
from Module.test_nodes import QUARTER_TURN, TWO_BLOCKS, a_grid_transform, a_linear_transform, a_segmentation, ijk_to_ras
from T1T2TranslationLib import catalog, samples
from T1T2TranslationLib.errors import UnsuitableVolume

needs_model = pytest.mark.skipif(
    not any(card.usable and card.name == "t1_to_t2" for card in catalog.list_models()), reason="The model t1_to_t2 is not here."
)
SIZE = (7.0, 9.0, 22.0)


def a_box(center=(11.0, -7.0, 5.0), degrees=0.0, name="R"):
    """A Markups ROI of `SIZE` mm, turned about its middle."""
    turn = vtk.vtkTransform()
    turn.Translate(*center)
    turn.RotateWXYZ(degrees, 0.2, 0.9, 0.4)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    node.SetSize(*SIZE)
    node.SetAndObserveObjectToNodeMatrix(turn.GetMatrix())
    return node


def middle_of(node) -> np.ndarray:
    """World place of a volume's middle voxel, where no transform is."""
    middle = [(size - 1) / 2 for size in slicer.util.arrayFromVolume(node).shape[::-1]]
    return (ijk_to_ras(node) @ (*middle, 1))[:3]


def inside_by_points(box, node) -> np.ndarray:
    """Every voxel asked alone: through the volume's transform to the world, through the box's back, and along its axes."""
    shape = slicer.util.arrayFromVolume(node).shape[::-1]
    to_box, found = vtk.vtkMatrix4x4(), np.zeros(shape, np.uint8)
    vtk.vtkMatrix4x4.Invert(box.GetObjectToNodeMatrix(), to_box)
    world, place = [0.0] * 3, [0.0] * 3
    for index in np.ndindex(*shape):
        node.TransformPointToWorld([float(value) for value in (ijk_to_ras(node) @ (*index, 1))[:3]], world)
        box.TransformPointFromWorld(world, place)
        along = to_box.MultiplyPoint((*place, 1))[:3]
        found[index] = all(abs(value) <= length / 2 for value, length in zip(along, SIZE, strict=True))
    return found


# ---- from nodes to voxels


@pytest.mark.parametrize("moved", ["nothing", "box", "volume", "both"])
def test_a_turned_box_holds_the_voxels_that_it_holds_in_the_world(logic, a_volume_node, moved):
    turn = a_linear_transform()
    center = middle_of(a_volume_node)
    if moved in ("volume", "both"):
        a_volume_node.SetAndObserveTransformNodeID(turn.GetID())
    if moved == "volume":
        center = (QUARTER_TURN @ (*center, 1))[:3]
    if moved == "box":
        center = (np.linalg.inv(QUARTER_TURN) @ (*center, 1))[:3]
    box = a_box(center, 25)
    if moved in ("box", "both"):
        box.SetAndObserveTransformNodeID(turn.GetID())
    region = logic.volumes(a_volume_node, None, None, box)["region"]
    np.testing.assert_array_equal(region.array, inside_by_points(box, a_volume_node))
    assert 0 < region.array.sum() < region.array.size
    assert region.has_grid_of(logic.volumes(a_volume_node)["volume"])


def test_a_segmentation_is_a_region_too(logic, a_volume_node):
    region = logic.volumes(a_volume_node, None, None, a_segmentation(a_volume_node))["region"]
    np.testing.assert_array_equal(region.array, TWO_BLOCKS.transpose(2, 1, 0))


def test_a_box_that_was_never_placed_is_refused(logic, a_volume_node):
    box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    with pytest.raises(UnsuitableVolume, match=r"The box 'R' has no size\. Place it"):
        logic.volumes(a_volume_node, None, None, box)


def test_a_box_across_a_warp_is_refused_and_under_the_same_warp_it_is_not(logic, a_volume_node):
    box, warp = a_box(middle_of(a_volume_node)), a_grid_transform()
    straight = logic.volumes(a_volume_node, None, None, box)["region"].array
    box.SetAndObserveTransformNodeID(warp.GetID())
    with pytest.raises(UnsuitableVolume, match=r"Between 'R' and the T1 volume lies a transform that is not linear\. Harden"):
        logic.volumes(a_volume_node, None, None, box)
    a_volume_node.SetAndObserveTransformNodeID(warp.GetID())
    np.testing.assert_array_equal(logic.volumes(a_volume_node, None, None, box)["region"].array, straight)


# ---- in the panel


@pytest.fixture
def boxed(ready, head):
    """The panel with a T1 and a box about its middle chosen."""
    box = a_box(middle_of(head), 20)
    box.SetSize(60, 50, 40)
    ready.ui.regionSelector.setCurrentNode(box)
    return ready


def test_the_selector_offers_boxes_segmentations_and_label_maps(panel, head):
    box = a_box()
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segments")
    selector = panel.ui.regionSelector
    assert [selector.nodeFromIndex(index).GetName() for index in range(selector.nodeCount())] == ["R", "Segments"]
    selector.setCurrentNode(box)
    assert panel._parameterNode.regionNode is box
    panel._parameterNode.regionNode = None
    assert selector.currentNode() is None


@needs_model
def test_apply_translates_the_box_alone_then_compares_there_and_reproduces_it(slicer_host, boxed):
    chosen, box = boxed._parameterNode, boxed._parameterNode.regionNode
    region = boxed.logic.volumes(chosen.inputVolume, None, None, box)["region"].array.transpose(2, 1, 0)
    boxed.ui.applyButton.click()
    slicer_host.wait_until(lambda: not boxed.worker.talk.is_busy, 240)
    synthetic = chosen.syntheticVolume
    array = slicer.util.arrayFromVolume(synthetic)
    assert array[region > 0].any()
    assert not array[region == 0].any()
    assert json.loads(synthetic.GetAttribute("T1T2.Provenance"))["region_given"] is True
    assert synthetic.GetNodeReference("T1T2.Region") is box
    assert "Only a region of interest" in boxed.ui.reportLabel.text
    assert "a region of interest" in section(boxed, "RecordSection").ui.recordLabel.text

    box.SetCenter(500, 500, 500)  # what was made stays what it is
    t2 = samples.phantom("T2")
    boxed.ui.referenceSelector.setCurrentNode(slicer.util.addVolumeFromArray(t2.array.transpose(2, 1, 0), t2.affine, "Real"))
    slicer_host.wait_until(lambda: not boxed.worker.talk.is_busy, 240)
    error = slicer.util.arrayFromVolume(chosen.absoluteErrorVolume)
    assert error[region > 0].any()
    assert not error[region == 0].any()
    assert next(iter(json.loads(synthetic.GetAttribute("T1T2.Provenance"))["metrics"])).endswith("in the region")

    chosen.regionNode = None
    section(boxed, "RecordSection").ui.reproduceButton.click()
    assert chosen.regionNode is box


@needs_model
def test_a_box_beside_the_head_is_told_in_the_panel(slicer_host, boxed):
    boxed._parameterNode.regionNode.SetCenter(500, 500, 500)
    boxed.ui.applyButton.click()
    slicer_host.wait_until(lambda: not boxed.worker.talk.is_busy, 240)
    assert "misses the head in 'Head'" in boxed.ui.messageLabel.text
    assert boxed._parameterNode.syntheticVolume is None
