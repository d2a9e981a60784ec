"""The panel's choices and the nodes that the last translation made, kept in the scene."""

from typing import Annotated

from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class T1T2TranslationParameterNode:
    """The panel's choices, and the nodes that the last translation made."""

    inputVolume: vtkMRMLScalarVolumeNode
    referenceVolume: vtkMRMLScalarVolumeNode
    maskNode: vtkMRMLNode  # a segmentation or a label map
    regionNode: vtkMRMLNode  # a box (Markups ROI), a segmentation or a label map
    segmentsNode: vtkMRMLSegmentationNode  # to measure the error in its segments
    model: str = "t1_to_t2"
    device: Annotated[str, Choice(["auto", "cpu", "cuda", "mps"])] = "auto"
    acceptAnyInput: bool = False
    overlay: str = ""  # the error map that is shown: "predictedError", "absoluteError" or "signedError"
    overlayVisible: bool = True
    errorThreshold: Annotated[float, WithinRange(0, 400)] = 100
    lensStrength: Annotated[float, WithinRange(0, 1)] = 0
    layoutBefore: int = 0  # what the compare layout took the place of
    crosshairBefore: int = 0
    overlayOpacity: Annotated[float, WithinRange(0, 1)] = 0.5
    syntheticVolume: vtkMRMLScalarVolumeNode
    predictedErrorVolume: vtkMRMLScalarVolumeNode
    absoluteErrorVolume: vtkMRMLScalarVolumeNode
    signedErrorVolume: vtkMRMLScalarVolumeNode
    alignedReferenceVolume: vtkMRMLScalarVolumeNode
    lensVolume: vtkMRMLScalarVolumeNode


def resultNode(parameters, key):
    """The node of the last translation that shows a layer, by the key that `layers.Layer` gives it; None without one."""
    return parameters.getValue(_nameOf(key))


def setResultNode(parameters, key, node):
    """Let a node, or None, show a layer of the last translation."""
    parameters.setValue(_nameOf(key), node)


def _nameOf(key):
    return f"{key}Volume"
