"""Between nodes of the scene and the engine's volumes: where they lie, what cannot be taken, what an output node looks like."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from T1T2TranslationLib import panel
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.volume import Volume


def refuseUnsuitable(node):
    """Raises UnsuitableVolume for a node that can be neither translated nor compared with."""
    image = node.GetImageData()
    hasVoxels = image is not None and image.GetNumberOfPoints() > 0
    isScalar = image is None or image.GetNumberOfScalarComponents() == 1  # a colour picture may come as a scalar volume
    kind = node.GetNodeTagName() if isScalar else "VectorVolume"
    isSynthetic = node.GetAttribute("T1T2.Synthetic") is not None
    isFrame = any(browser.GetSequenceNode(node) for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"))
    reason = panel.refusal(_, node.GetName(), kind, hasVoxels, isSynthetic, isFrame)
    if reason:
        raise UnsuitableVolume(reason, _("Choose another volume."))


def asVolume(node, inWorld):
    """The voxels of a node as (i, j, k) and where they lie: in the node's own space, or in the world."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    affine = slicer.util.arrayFromVTKMatrix(matrix)
    transform = node.GetParentTransformNode()
    if inWorld and transform is not None:
        if not transform.IsTransformToWorldLinear():
            what = _("'{name}' lies under a transform that is not linear.").format(name=node.GetName())
            raise UnsuitableVolume(what, _("Harden the transform in the module Data, and try again."))
        transform.GetMatrixTransformToWorld(matrix)
        affine = slicer.util.arrayFromVTKMatrix(matrix) @ affine
    return Volume(slicer.util.arrayFromVolume(node).transpose(2, 1, 0), affine, node.GetName())


def segmented(segmentation, volumeNode, segmentIds=None):
    """Where any of some segments is, by default of all, (i, j, k) uint8 on the volume's grid."""
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "__temp__")
    temporary = [labels]
    try:
        segmentIds = segmentation.GetSegmentation().GetSegmentIDs() if segmentIds is None else segmentIds
        logic = slicer.modules.segmentations.logic()
        if not segmentIds or not logic.ExportSegmentsToLabelmapNode(segmentation, segmentIds, labels, volumeNode):
            what = _("The segments of '{name}' cannot be laid over the T1 volume.").format(name=segmentation.GetName())
            raise UnsuitableVolume(what, _("Choose a segmentation of the brain."))
        temporary += [labels.GetDisplayNode().GetColorNode(), labels.GetDisplayNode()]  # made by the export
        return (slicer.util.arrayFromVolume(labels) > 0).astype(np.uint8).transpose(2, 1, 0)
    finally:
        for node in temporary:
            slicer.mrmlScene.RemoveNode(node)


def isOutputOf(node, inputVolume, model):
    """Whether a node holds what this model made of this input, and may be made anew; another model's result stays."""
    if node is None or node.GetNodeReference("T1T2.Input") is not inputVolume:
        return False
    return node.GetAttribute("T1T2.Model") == model


def newOutput(layer, inputVolume):
    """A node beside the input in the subject hierarchy, coloured and windowed for what it shows."""
    name = slicer.mrmlScene.GenerateUniqueName(layer.volume.name)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetNodeReferenceID("T1T2.Input", inputVolume.GetID())
    node.SetAttribute("T1T2.Synthetic", None if layer.key == "alignedReference" else "1")
    node.SetAttribute("T1T2.Kind", layer.key)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    inputItem = hierarchy.GetItemByDataNode(inputVolume)
    if inputItem:
        hierarchy.CreateItem(hierarchy.GetItemParent(inputItem), node)  # or moves the item that Slicer made by itself
    node.CreateDefaultDisplayNodes()
    display = node.GetVolumeDisplayNode()
    if layer.colors != "Grey":  # which it has by default
        display.SetAndObserveColorNodeID(f"vtkMRMLColorTableNodeFile{layer.colors}.txt")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*layer.window)
    if layer.hides_zero:
        display.SetThreshold(1, 32767)
        display.SetApplyThreshold(True)
    return node


def fill(node, volume, inputVolume):
    """Voxels, exactly the input's geometry, and its parent transform."""
    slicer.util.updateVolumeFromArray(node, volume.array.transpose(2, 1, 0))
    matrix = vtk.vtkMatrix4x4()
    inputVolume.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveTransformNodeID(inputVolume.GetTransformNodeID())


def companions(node):
    """What serves an output node alone: display and storage, colour legend, lens, charts with their tables."""
    found = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    found += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    found += [
        node.GetNthNodeReference(role, index)
        for role in ("T1T2.Chart", "T1T2.Lens")
        for index in range(node.GetNumberOfNodeReferences(role))
    ]
    return [companion for companion in found if companion is not None]


def remove(node):
    """Take an output node out of the scene, and what serves it alone."""
    for going in (node, *companions(node)):
        if slicer.mrmlScene.IsNodePresent(going):
            slicer.mrmlScene.RemoveNode(going)
