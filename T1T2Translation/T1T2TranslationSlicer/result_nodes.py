"""The nodes that translations left in the scene: made, or found again by input and model; and what they say."""

import dataclasses
import functools

import numpy as np
import slicer
from T1T2TranslationLib import layers

from . import nodes
from .parameters import resultNode, setResultNode

KEYS = ("synthetic", *layers.OVERLAYS, "alignedReference")


# ---- made and found


def store(translation, inputVolume, referenceVolume=None, maskNode=None, regionNode=None):
    """Make or update the output nodes of this input and model, and nobody else's; returns them by layer key."""
    made, record = translation.provenance, layers.summarize(translation)
    found = outputsOf(inputVolume, made["model"])
    if translation.comparison is None:  # an earlier result's true error says nothing about a new one
        for key in found.keys() & set(layers.TRUE_ERROR):
            nodes.remove(found.pop(key))
    for layer in layers.layers_of(translation):
        node = found.get(layer.key) or nodes.newOutput(layer, inputVolume)
        nodes.fill(node, layer.volume, inputVolume)
        node.SetAttribute("T1T2.Model", made["model"])
        node.SetAttribute("T1T2.Sha256", made["weights_sha256"])
        node.SetAttribute("T1T2.Provenance", record)
        found[layer.key] = node
    synthetic = found["synthetic"]
    for role, node in (("Reference", referenceVolume), ("Mask", maskNode), ("Region", regionNode)):
        synthetic.SetNodeReferenceID(f"T1T2.{role}", node and node.GetID())
    synthetic.RemoveAttribute("T1T2.Segments")
    return found


def outputsOf(inputVolume, model):
    """What a model made of an input, by layer key: nodes of ours, no user's copies of them; empty where nothing is left."""
    return {node.GetAttribute("T1T2.Kind"): node for node in _outputs(inputVolume) if node.GetAttribute("T1T2.Model") == model}


def lastOutputsOf(inputVolume, model):
    """What was made of an input by this model, else by the one that was asked last; empty where nothing is left."""
    youngest = max(filter(_isSynthetic, _outputs(inputVolume)), key=lambda node: report(node)["date"], default=None)
    found = outputsOf(inputVolume, model)
    if "synthetic" in found or youngest is None:
        return found if "synthetic" in found else {}
    return outputsOf(inputVolume, youngest.GetAttribute("T1T2.Model"))


def choose(parameters, found):
    """Let the panel show these output nodes, and no others."""
    with slicer.util.NodeModify(parameters):
        for key in KEYS:
            setResultNode(parameters, key, found.get(key))
        parameters.lensVolume = found["synthetic"].GetNodeReference("T1T2.Lens")


def _outputs(inputVolume):
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in volumes if nodes.isOutput(node) and node.GetNodeReference("T1T2.Input") is inputVolume]


def _isSynthetic(node):
    return node.GetAttribute("T1T2.Kind") == "synthetic" and bool(report(node))


# ---- what they say


def report(synthetic):
    """What is known of the results that belong to a synthetic volume, see `layers.summarize`; empty without any."""
    return _read((synthetic and synthetic.GetAttribute("T1T2.Provenance")) or "")


@functools.lru_cache(maxsize=64)  # asked for at every click
def _read(record):
    return layers.read_summary(record)


def isOf(synthetic, inputVolume):
    """Whether a synthetic volume was made of this input."""
    return synthetic is not None and synthetic.GetNodeReference("T1T2.Input") is inputVolume


def lastTranslation(parameters):
    """The translation as `inference.translate` returned it, in the space of its nodes."""
    found = {key: resultNode(parameters, key) for key in KEYS}
    volumes = {key: nodes.asVolume(node, inWorld=False) for key, node in found.items() if node is not None}
    return layers.translation_of(report(parameters.syntheticVolume), volumes)


def lastRegion(parameters, volume):
    """Where the last translation was wanted, on the grid of `volume`; None where everywhere.

    Read off its error map: the box that it was made with may have been moved or removed since.
    """
    if not report(parameters.syntheticVolume).get("region_given"):
        return None
    error = slicer.util.arrayFromVolume(parameters.predictedErrorVolume).transpose(2, 1, 0)
    return volume.with_array((error > 0).astype(np.uint8), "region")


def onGridOf(volume, translation):
    """The translation without its comparison and doubts about it, its images where `volume` lies (world, or its node's space)."""
    images = {
        name: volume.with_array(image.array, image.name)
        for name, image in vars(translation).items()
        if name in ("synthetic", "predicted_error")
    }
    stale = () if translation.comparison is None else translation.comparison.warnings
    warnings = tuple(one for one in translation.warnings if one not in stale)
    return dataclasses.replace(translation, comparison=None, warnings=warnings, **images)


def wantsComparison(parameters):
    """Whether a real T2 is chosen that the last result of the chosen input was not compared with."""
    synthetic, reference = parameters.syntheticVolume, parameters.referenceVolume
    if not report(synthetic) or reference is None or parameters.predictedErrorVolume is None:
        return False
    return isOf(synthetic, parameters.inputVolume) and synthetic.GetNodeReference("T1T2.Reference") is not reference


def bestOverlay(parameters):
    """The error map to show first: the true one where there is one of the chosen real T2, else the predicted one."""
    isMeasured = parameters.referenceVolume is not None and not wantsComparison(parameters)
    return layers.first_overlay(report(parameters.syntheticVolume)) if isMeasured else "predictedError"
