"""Between nodes of the scene and the engine's volumes: where they lie, what cannot be taken, what an output node looks like."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from T1T2TranslationLib import panel
from T1T2TranslationLib.box import inside_box
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.volume import Volume

from . import looks

_ITSELF = "T1T2.Output"  # each output node refers to itself: scenes renumber references when they are added, attributes not


def refuseUnsuitable(node):
    """Raises UnsuitableVolume for a node that can be neither translated nor compared with."""
    image = node.GetImageData()
    hasVoxels = image is not None and image.GetNumberOfPoints() > 0
    isScalar = image is None or image.GetNumberOfScalarComponents() == 1  # a colour picture may come as a scalar volume
    kind = node.GetNodeTagName() if isScalar else "VectorVolume"
    isSynthetic = node.GetAttribute("T1T2.Synthetic") is not None
    isFrame = any(browser.GetSequenceNode(node) for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"))
    refusal = panel.refusal(_, node.GetName(), kind, hasVoxels, isSynthetic, isFrame)
    if refusal:
        raise UnsuitableVolume(*refusal)


def volumesOf(inputVolume, referenceVolume=None, maskNode=None, regionNode=None):
    """What `inference.translate` takes of these nodes: volume, reference, mask and region; raises UnsuitableVolume."""
    for node in (inputVolume, referenceVolume):
        if node is not None:
            refuseUnsuitable(node)
    if referenceVolume is inputVolume:
        raise UnsuitableVolume(_("The real T2 is the T1 volume itself."), _("Choose another volume, or none."))
    # Nodes under one and the same transform are compared where they lie, those under different ones in the world.
    others = [node for node in (referenceVolume, maskNode, regionNode) if node is not None and node.IsA("vtkMRMLVolumeNode")]
    inWorld = any(node.GetTransformNodeID() != inputVolume.GetTransformNodeID() for node in others)
    volume = asVolume(inputVolume, inWorld)
    return {
        "volume": volume,
        "mask": maskNode and _asPlace(maskNode, inputVolume, volume, inWorld),
        "region": regionNode and _asPlace(regionNode, inputVolume, volume, inWorld),
        "reference": referenceVolume and asVolume(referenceVolume, inWorld),
    }


def _asPlace(node, inputVolume, volume, inWorld):
    """What a segmentation, box or label map surrounds: a volume that is not 0 there. volume: the input's."""
    if node.IsA("vtkMRMLSegmentationNode"):
        return volume.with_array(segmented(node, inputVolume), node.GetName())
    if node.IsA("vtkMRMLMarkupsROINode"):
        return volume.with_array(boxed(node, inputVolume), node.GetName())
    return asVolume(node, inWorld)


def asVolume(node, inWorld):
    """The voxels of a node as (i, j, k) and where they lie: in the node's own space, or in the world."""
    if node.GetImageData() is None:
        what = _("'{name}' holds no voxels.").format(name=node.GetName())
        raise UnsuitableVolume(what, _("Load it again, or choose another volume."))
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


def haveSameGrid(first, second):
    """Whether two volume nodes have as many voxels, along each axis, in the same places of their own spaces."""
    matrices = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    for node, matrix in zip((first, second), matrices, strict=True):
        node.GetIJKToRASMatrix(matrix)
    places = [slicer.util.arrayFromVTKMatrix(matrix) for matrix in matrices]
    images = [node.GetImageData() for node in (first, second)]
    return all(images) and images[0].GetDimensions() == images[1].GetDimensions() and np.allclose(*places, atol=1e-3)


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


def boxed(box, volumeNode):
    """Where a box (Markups ROI) is, (i, j, k) uint8 on the volume's grid, whatever linear transforms the two lie under."""
    if not all(box.GetSize()):
        what = _("The box '{name}' has no size.").format(name=box.GetName())
        raise UnsuitableVolume(what, _("Place it in a slice view first, in the module Markups."))
    between, transforms = vtk.vtkMatrix4x4(), [node.GetParentTransformNode() for node in (volumeNode, box)]
    areWarped = any(transform is not None and not transform.IsTransformToWorldLinear() for transform in transforms)
    if areWarped and transforms[0] is not transforms[1]:
        what = _("Between '{name}' and the T1 volume lies a transform that is not linear.").format(name=box.GetName())
        raise UnsuitableVolume(what, _("Harden the transform in the module Data, and try again."))
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(*transforms, between)
    indexToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(indexToRas)
    toNode, toBox, fromIndex = (
        slicer.util.arrayFromVTKMatrix(matrix) for matrix in (between, box.GetObjectToNodeMatrix(), indexToRas)
    )
    shape = slicer.util.arrayFromVolume(volumeNode).shape[::-1]
    return inside_box(shape, np.linalg.inv(toBox) @ toNode @ fromIndex, box.GetSize())


def isOutput(node):
    """Whether one of our translations made this node; a user's copy, which refers to the original, is the user's."""
    return node.GetNodeReference(_ITSELF) is node


def newOutput(layer, inputVolume):
    """A node beside the input in the subject hierarchy, coloured and windowed for what it shows."""
    name = slicer.mrmlScene.GenerateUniqueName(layer.volume.name)
    node = slicer.mrmlScene.AddNewNodeByClass(looks.nodeClass(layer.key), name)
    node.SetNodeReferenceID("T1T2.Input", inputVolume.GetID())
    node.SetNodeReferenceID(_ITSELF, node.GetID())
    node.SetAttribute("T1T2.Synthetic", None if layer.key == "alignedReference" else "1")
    node.SetAttribute("T1T2.Kind", layer.key)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    inputItem = hierarchy.GetItemByDataNode(inputVolume)
    if inputItem:
        hierarchy.CreateItem(hierarchy.GetItemParent(inputItem), node)  # or moves the item that Slicer made by itself
    node.CreateDefaultDisplayNodes()
    looks.setLook(node)
    return node


def fill(node, volume, inputVolume):
    """Voxels, exactly the input's geometry, and its parent transform."""
    slicer.util.updateVolumeFromArray(node, volume.array.transpose(2, 1, 0))
    place(node, inputVolume)


def place(node, inputVolume):
    """Exactly the input's geometry, and its parent transform."""
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


def unusedTables():
    """Our colour tables that colour nothing any more, see looks.py."""
    displays = slicer.util.getNodesByClass("vtkMRMLDisplayNode")
    used = {display.GetColorNodeID() for display in displays}
    tables = slicer.util.getNodesByClass("vtkMRMLColorTableNode")
    return [table for table in tables if table.GetAttribute("T1T2.Colors") and table.GetID() not in used]


def giveViewsBack(node):
    """Views that show an output node behind all else show its input again."""
    inputVolume = node.GetNodeReference("T1T2.Input")
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if inputVolume is not None and view.GetBackgroundVolumeID() == node.GetID():
            view.SetBackgroundVolumeID(inputVolume.GetID())


def remove(node):
    """Take an output node out of the scene, and what serves it alone."""
    for going in (node, *companions(node)):
        if slicer.mrmlScene.IsNodePresent(going):
            slicer.mrmlScene.RemoveNode(going)
