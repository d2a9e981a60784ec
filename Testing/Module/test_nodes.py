"""From nodes to the engine's volumes and back: where they lie, what they are called, whose they are."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import slicer
import vtk
from T1T2TranslationLib import samples
from T1T2TranslationLib.errors import UnsuitableVolume
from vtk.util.numpy_support import vtk_to_numpy

QUARTER_TURN = np.array([[0.0, -1, 0, 10], [1, 0, 0, -20], [0, 0, 1, 30], [0, 0, 0, 1]])

TWO_BLOCKS = np.zeros((23, 19, 17), np.uint8)  # (k, j, i)
TWO_BLOCKS[8:14, 5:11, 4:9] = TWO_BLOCKS[2:5, 2:5, 2:5] = 1


def ijk_to_ras(node) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def a_linear_transform():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turn")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(QUARTER_TURN))
    return node


def a_grid_transform():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Warp")
    grid = vtk.vtkImageData()
    grid.SetDimensions(3, 3, 3)
    grid.AllocateScalars(vtk.VTK_DOUBLE, 3)
    vtk_to_numpy(grid.GetPointData().GetScalars())[:] = 1.0
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(grid)
    node.SetAndObserveTransformFromParent(transform)
    return node


def another_volume(node, name="T2", class_name="vtkMRMLScalarVolumeNode"):
    return slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(node) // 2, ijk_to_ras(node), name, class_name)


def a_segmentation(node):
    """Two segments, `TWO_BLOCKS` on the grid of `node`."""
    labels = another_volume(node, "Labels", "vtkMRMLLabelMapVolumeNode")
    slicer.util.arrayFromVolume(labels)[:] = TWO_BLOCKS + TWO_BLOCKS * (np.arange(23) > 6)[:, None, None]
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Brain")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, segmentation)
    slicer.mrmlScene.RemoveNode(labels)
    return segmentation


def shown(logic, node, with_reference=False):
    """What the logic shows of a translation of `node` that needs no network."""
    translation = samples.phantom_translation(logic.volumes(node)["volume"], with_reference)
    return translation, logic.showTranslation(translation, node)


# ---- in


def test_a_node_becomes_a_volume_voxel_for_voxel(logic, a_volume_node):
    volume = logic.volumes(a_volume_node)["volume"]
    assert volume.name == "T1"
    assert volume.shape == (17, 19, 23)
    np.testing.assert_array_equal(volume.array[3, 4, 5], slicer.util.arrayFromVolume(a_volume_node)[5, 4, 3])
    np.testing.assert_array_equal(volume.affine, ijk_to_ras(a_volume_node))


def test_nodes_under_one_transform_are_taken_where_they_lie(logic, a_volume_node):
    reference, turn = another_volume(a_volume_node), a_grid_transform()
    for node in (a_volume_node, reference):
        node.SetAndObserveTransformNodeID(turn.GetID())
    volumes = logic.volumes(a_volume_node, reference)
    assert volumes["reference"].has_grid_of(volumes["volume"])
    np.testing.assert_array_equal(volumes["volume"].affine, ijk_to_ras(a_volume_node))


def test_nodes_under_different_transforms_are_taken_to_the_world(logic, a_volume_node):
    reference = another_volume(a_volume_node)
    reference.SetAndObserveTransformNodeID(a_linear_transform().GetID())
    volumes = logic.volumes(a_volume_node, reference)
    np.testing.assert_array_equal(volumes["volume"].affine, ijk_to_ras(a_volume_node))
    np.testing.assert_allclose(volumes["reference"].affine, QUARTER_TURN @ ijk_to_ras(a_volume_node))


def test_a_warped_reference_is_refused_with_the_remedy(logic, a_volume_node):
    reference = another_volume(a_volume_node)
    reference.SetAndObserveTransformNodeID(a_grid_transform().GetID())
    with pytest.raises(UnsuitableVolume, match=r"'T2' lies under a transform that is not linear\. Harden"):
        logic.volumes(a_volume_node, reference)


def test_a_segmentation_is_taken_on_the_grid_of_the_input(logic, a_volume_node):
    segmentation = a_segmentation(a_volume_node)
    before = slicer.mrmlScene.GetNumberOfNodes()
    mask = logic.volumes(a_volume_node, None, segmentation)["mask"]
    np.testing.assert_array_equal(mask.array, TWO_BLOCKS.transpose(2, 1, 0))
    assert mask.name == "Brain"
    assert mask.has_grid_of(logic.volumes(a_volume_node)["volume"])
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_a_label_map_keeps_its_own_grid(logic, a_volume_node, head):
    labels = another_volume(a_volume_node, "Labels", "vtkMRMLLabelMapVolumeNode")
    mask = logic.volumes(head, None, labels)["mask"]
    np.testing.assert_array_equal(mask.affine, ijk_to_ras(a_volume_node))


def test_a_segmentation_follows_its_own_transform(logic, a_volume_node):
    segmentation = a_segmentation(a_volume_node)
    inside = logic.volumes(a_volume_node, None, segmentation)["mask"].array
    for node in (a_volume_node, segmentation):
        node.SetAndObserveTransformNodeID(a_linear_transform().GetID())
    np.testing.assert_array_equal(logic.volumes(a_volume_node, None, segmentation)["mask"].array, inside)


def test_an_empty_segmentation_is_refused_and_leaves_nothing(logic, a_volume_node):
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing")
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(UnsuitableVolume, match="'Nothing' cannot be laid over"):
        logic.volumes(a_volume_node, None, segmentation)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_what_is_no_scalar_volume_of_its_own_is_refused(logic, a_volume_node):
    vector = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6, 3), np.uint8), name="RGB", nodeClassName="vtkMRMLVectorVolumeNode")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    labels = another_volume(a_volume_node, "Labels", "vtkMRMLLabelMapVolumeNode")
    _, synthetic = shown(logic, a_volume_node)
    for node, reason in (
        (vector, "'RGB' is a VectorVolume"),
        (empty, "'Empty' holds no voxels"),
        (labels, "'Labels' is a LabelMapVolume"),
        (synthetic, "is itself synthetic"),
    ):
        with pytest.raises(UnsuitableVolume, match=reason):
            logic.volumes(node)
        with pytest.raises(UnsuitableVolume, match=reason):
            logic.volumes(a_volume_node, node)


def test_a_colour_picture_in_a_scalar_volume_is_refused(logic, a_volume_node):
    image = vtk.vtkImageData()
    image.SetDimensions(5, 6, 7)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    picture = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Photo")
    picture.SetAndObserveImageData(image)
    with pytest.raises(UnsuitableVolume, match="'Photo' is a VectorVolume"):
        logic.volumes(picture)
    with pytest.raises(UnsuitableVolume, match="'Photo' is a VectorVolume"):
        logic.volumes(a_volume_node, picture)


def test_a_frame_of_a_sequence_is_refused(logic, a_volume_node):
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode")
    sequence.SetDataNodeAtValue(a_volume_node, "0")
    browser = slicer.mrmlScene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(a_volume_node, sequence, False)
    with pytest.raises(UnsuitableVolume, match=r"'T1' is one frame of a sequence\. Clone it in the module Data"):
        logic.volumes(a_volume_node)
    clone = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    clone.Copy(a_volume_node)  # as the module Data clones
    volume = logic.volumes(clone)["volume"]
    np.testing.assert_array_equal(volume.array, slicer.util.arrayFromVolume(a_volume_node).transpose(2, 1, 0))


def test_a_volume_whose_voxels_are_gone_is_refused_wherever_it_is_read(logic, a_volume_node):
    from T1T2TranslationSlicer import nodes

    a_volume_node.SetAndObserveImageData(None)  # as after a scene was read whose file is missing
    with pytest.raises(UnsuitableVolume, match="'T1' holds no voxels"):
        nodes.asVolume(a_volume_node, inWorld=False)


def test_the_input_is_no_reference_for_itself(logic, a_volume_node):
    with pytest.raises(UnsuitableVolume, match="is the T1 volume itself"):
        logic.volumes(a_volume_node, a_volume_node)


# ---- out


@pytest.mark.parametrize("transform", [None, a_linear_transform, a_grid_transform])
def test_outputs_have_the_inputs_geometry_and_transform_exactly(logic, a_volume_node, transform):
    if transform:
        a_volume_node.SetAndObserveTransformNodeID(transform().GetID())
    translation, synthetic = shown(logic, a_volume_node, with_reference=True)
    outputs = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert [node.GetName() for node in outputs] == [
        "T1",
        "T1 SYNTHETIC T2",
        "T1 SYNTHETIC T2 predicted error",
        "T1 SYNTHETIC T2 absolute error",
        "T1 SYNTHETIC T2 error",
        "Real T2 aligned",
    ]
    for node in outputs:
        np.testing.assert_array_equal(ijk_to_ras(node), ijk_to_ras(a_volume_node))
        assert node.GetTransformNodeID() == a_volume_node.GetTransformNodeID()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(synthetic), translation.synthetic.array.transpose(2, 1, 0))


def test_outputs_say_where_they_come_from(logic, a_volume_node):
    _, synthetic = shown(logic, a_volume_node)
    assert synthetic.GetAttribute("T1T2.Synthetic")
    assert synthetic.GetAttribute("T1T2.Model") == "phantom"
    assert synthetic.GetAttribute("T1T2.Sha256") == "0" * 64
    assert json.loads(synthetic.GetAttribute("T1T2.Provenance"))["device"] == "cpu"


def test_outputs_have_windows_from_the_unit_and_no_background_in_the_error(logic, a_volume_node):
    shown(logic, a_volume_node, with_reference=True)
    parameters = logic.getParameterNode()
    display = parameters.syntheticVolume.GetVolumeDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax(), display.GetAutoWindowLevel()) == (0, 1200, 0)
    display = parameters.predictedErrorVolume.GetVolumeDisplayNode()
    assert display.GetColorNode().GetAttribute("T1T2.Colors") == "predictedError"
    assert display.GetColorNode().GetLookupTable().GetTableValue(0)[3] == 0  # transparent
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 400)
    display = parameters.signedErrorVolume.GetVolumeDisplayNode()
    assert display.GetColorNode().GetAttribute("T1T2.Colors") == "signedError"
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (-400, 400)


def test_a_second_run_updates_its_own_outputs(logic, a_volume_node):
    shown(logic, a_volume_node, with_reference=True)
    parameters = logic.getParameterNode()
    parameters.syntheticVolume.SetName("My T2")
    before = slicer.mrmlScene.GetNumberOfNodes()
    slicer.util.arrayFromVolume(a_volume_node)[:] //= 2
    translation, synthetic = shown(logic, a_volume_node, with_reference=True)
    assert synthetic.GetName() == "My T2"
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(synthetic), translation.synthetic.array.transpose(2, 1, 0))


def test_another_input_gets_outputs_of_its_own(logic, a_volume_node, head):
    _, first = shown(logic, a_volume_node)
    kept = slicer.util.arrayFromVolume(first).copy()
    _, second = shown(logic, head)
    assert second is not first
    assert first.GetScene() is not None
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(first), kept)


def test_another_model_gets_outputs_of_its_own(logic, a_volume_node):
    translation, first = shown(logic, a_volume_node)
    other = dataclasses.replace(translation, provenance=translation.provenance | {"model": "t1_to_flair"})
    second = logic.showTranslation(other, a_volume_node)
    assert second is not first
    assert first.GetAttribute("T1T2.Model") == translation.provenance["model"]
    assert slicer.mrmlScene.IsNodePresent(first)


def test_a_users_copy_of_an_output_is_never_touched(logic, a_volume_node):
    _, synthetic = shown(logic, a_volume_node)
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    copy.Copy(synthetic)
    slicer.mrmlScene.RemoveNode(synthetic)
    _, again = shown(logic, a_volume_node)
    assert again is not copy
    assert again is not synthetic


def test_outputs_lie_beside_the_input_in_its_study(logic, a_volume_node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.CreateItem(study, a_volume_node)
    shown(logic, a_volume_node)
    parameters = logic.getParameterNode()
    for node in (parameters.syntheticVolume, parameters.predictedErrorVolume):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
