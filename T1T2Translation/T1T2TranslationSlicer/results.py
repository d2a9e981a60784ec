"""What the nodes of the last translation say, read back from the scene."""

import dataclasses

from T1T2TranslationLib import layers

from . import nodes


def report(synthetic):
    """What is known of the results that belong to a synthetic volume, see `layers.summarize`; empty without any."""
    return layers.read_summary(synthetic and synthetic.GetAttribute("T1T2.Provenance"))


def lastTranslation(parameters):
    """The translation as `inference.translate` returned it, in the space of its nodes."""
    found = {key: parameters.getValue(f"{key}Volume") for key in ("synthetic", *layers.OVERLAYS, "alignedReference")}
    volumes = {key: nodes.asVolume(node, inWorld=False) for key, node in found.items() if node is not None}
    return layers.translation_of(report(parameters.syntheticVolume), volumes)


def onGridOf(volume, translation):
    """The translation without its comparison, its images where `volume` lies (in the world, or in its node's space)."""
    images = {
        name: volume.with_array(image.array, image.name)
        for name, image in vars(translation).items()
        if name in ("synthetic", "predicted_error")
    }
    return dataclasses.replace(translation, comparison=None, **images)


def wantsComparison(parameters):
    """Whether a real T2 is chosen that the last result of the chosen input was not compared with."""
    synthetic, reference = parameters.syntheticVolume, parameters.referenceVolume
    if synthetic is None or reference is None or parameters.predictedErrorVolume is None:
        return False
    isOfInput = synthetic.GetNodeReference("T1T2.Input") is parameters.inputVolume
    return isOfInput and synthetic.GetNodeReference("T1T2.Reference") is not reference


def bestOverlay(parameters):
    """The error map to show first: the true one where there is one of the chosen real T2, else the predicted one."""
    isMeasured = parameters.referenceVolume is not None and not wantsComparison(parameters)
    return layers.first_overlay(report(parameters.syntheticVolume)) if isMeasured else "predictedError"
