"""What the slice views show of the results: image or lens behind, an error map over it, its legend."""

import numpy as np
import slicer
from slicer.i18n import tr as _
from T1T2TranslationLib import layers
from T1T2TranslationLib.lens import SMOOTHING_MM, Lens
from T1T2TranslationLib.smoothing import smoothed

from . import compare_layout, looks, nodes, result_nodes
from .parameters import resultNode


class Display:
    """Shows the nodes of a parameter node in the slice views; whatever other views show is left alone."""

    def __init__(self):
        self._lens, self._lensOf = None, None

    def takeViews(self, parameters):
        """Put the results into every slice view; fitted where nothing of this patient was shown before."""
        self.refresh(parameters)
        image = self._image(parameters)
        known = {image.GetID(), parameters.syntheticVolume.GetID(), image.GetNodeReferenceID("T1T2.Input")}
        strange = [view for view in _composites() if view.GetBackgroundVolumeID() not in known | _ids(parameters)]
        for view in _composites():
            background, foreground = self._layersOf(view.GetLayoutName(), parameters)
            view.SetBackgroundVolumeID(background and background.GetID())
            view.SetForegroundVolumeID(foreground and foreground.GetID())
        self._setOpacity(parameters)
        if slicer.app.layoutManager() is not None:
            compare_layout.setReferenceLabel(parameters.alignedReferenceVolume is not None)
            widgets = [slicer.app.layoutManager().sliceWidget(view.GetLayoutName()) for view in strange]
            for widget in filter(None, widgets):
                widget.fitSliceToBackground()

    def refresh(self, parameters):
        """Follow sliders and switches: threshold, legend, opacity and lens, in the views that show our results."""
        if parameters.syntheticVolume is None:
            return
        self.color(parameters)
        self._setLegends(parameters)
        self._setLens(parameters)
        self._setOpacity(parameters)

    def color(self, parameters):
        """Colour the error maps from the threshold on."""
        for key in layers.OVERLAYS:
            node = resultNode(parameters, key)
            if node is not None:
                looks.setThreshold(node, parameters.errorThreshold)

    def forget(self):
        """Let go of every voxel."""
        self._lens, self._lensOf = None, None

    # ---- layers

    def _image(self, parameters):
        """The synthetic volume, or its lens while that does anything."""
        lens = parameters.lensVolume
        isOn = lens is not None and parameters.lensStrength > 0
        return lens if isOn else parameters.syntheticVolume

    def _layersOf(self, view, parameters):
        """Background and foreground of a view by its layout name."""
        overlay, column = _overlay(parameters), compare_layout.VIEWS.get(view)
        real = parameters.alignedReferenceVolume
        if column == "T1":  # synthetic and real side by side stay clean
            return parameters.syntheticVolume.GetNodeReference("T1T2.Input"), overlay if real is not None else None
        if column == "Synthetic":
            return self._image(parameters), None
        if column == "Reference":
            return (parameters.syntheticVolume, overlay) if real is None else (real, None)
        return self._image(parameters), overlay

    def _setOpacity(self, parameters):
        """Also exchanges one error map for the one that is wanted now."""
        ours, overlay = _ids(parameters), _overlay(parameters)
        opacity = parameters.overlayOpacity if parameters.overlayVisible else 0
        for view in _composites():
            if view.GetForegroundVolumeID() in ours:
                view.SetForegroundVolumeID(overlay and overlay.GetID())
                view.SetForegroundOpacity(opacity)

    # ---- the error map

    def _setLegends(self, parameters):
        report = result_nodes.report(parameters.syntheticVolume)
        for key, title in report.get("overlays", {}).items():
            node = resultNode(parameters, key)
            if node is not None:
                legend = _legend(node)
                legend.SetTitleText(layers.legend_title(_, key, title, parameters.errorThreshold, parameters.overlayOpacity))
                legend.SetVisibility(key == parameters.overlay and parameters.overlayVisible)

    # ---- the lens

    def _setLens(self, parameters):
        if parameters.lensStrength > 0 and self._canLens(parameters):
            node = self._lensNode(parameters)
            self._lens.write(slicer.util.arrayFromVolume(node), parameters.errorThreshold, parameters.lensStrength)
            slicer.util.arrayFromVolumeModified(node)
        if parameters.lensVolume is not None:
            self._exchange(parameters)

    def _canLens(self, parameters):
        source = parameters.syntheticVolume.GetNodeReference("T1T2.Input")
        found = [node and node.GetImageData() for node in (parameters.syntheticVolume, shownError(parameters), source)]
        return all(found) and len({image.GetDimensions() for image in found}) == 1

    def _lensNode(self, parameters):
        """The lens's node, made when first wanted, and its mixture, made anew when an image or the T1's window changed."""
        synthetic, error = parameters.syntheticVolume, shownError(parameters)
        source, node = synthetic.GetNodeReference("T1T2.Input"), parameters.lensVolume
        window = _window(source)
        key = (
            window,
            *(item for image in (synthetic, error, source) for item in (image.GetID(), image.GetImageData().GetMTime())),
        )
        if node is None or node.GetNodeReference("T1T2.Input") is not source:
            node = parameters.lensVolume = nodes.newOutput(layers.lens_layer(nodes.asVolume(synthetic, inWorld=False)), source)
            node.SetAttribute("T1T2.Provenance", synthetic.GetAttribute("T1T2.Provenance"))
            synthetic.SetNodeReferenceID("T1T2.Lens", node.GetID())
            self._lensOf = None
        if key != self._lensOf:
            images = [slicer.util.arrayFromVolume(image) for image in (synthetic, source)]
            smooth = smoothed(nodes.asVolume(error, inWorld=False), SMOOTHING_MM).array.transpose(2, 1, 0)
            self._lens, self._lensOf = Lens(images[0], smooth, images[1], window, layers.IMAGE_WINDOW), key
            slicer.util.updateVolumeFromArray(node, np.zeros((*smooth.shape, 3), np.uint8))
            nodes.place(node, synthetic)
        return node

    def _exchange(self, parameters):
        """Lens for synthetic volume, or back, in the views that show either; not in the column of the reference."""
        either, image = {parameters.syntheticVolume.GetID(), parameters.lensVolume.GetID()}, self._image(parameters)
        for view in _composites():
            if view.GetBackgroundVolumeID() in either and compare_layout.VIEWS.get(view.GetLayoutName()) != "Reference":
                view.SetBackgroundVolumeID(image.GetID())


def _overlay(parameters):
    return resultNode(parameters, parameters.overlay) if parameters.overlay else None


def shownError(parameters):
    """The absolute error that lens and search go by: the true one unless the predicted one is shown; None without results."""
    isTrue = parameters.overlay != "predictedError" and parameters.absoluteErrorVolume is not None
    return parameters.absoluteErrorVolume if isTrue else parameters.predictedErrorVolume


def _legend(node):
    """The legend of an error map, made when first wanted: small, or it would cover a small view."""
    logic = slicer.modules.colors.logic()
    legend = logic.GetColorLegendDisplayNode(node)
    if legend is None:
        legend = logic.AddDefaultColorLegendDisplayNode(node)
        legend.SetSize(0.1, 0.5)  # shares of the view; the letters follow the width
        legend.SetLabelFormat("%.0f")
    return legend


def _window(node):
    display = node.GetVolumeDisplayNode()
    if display is None:
        return tuple(float(value) for value in node.GetImageData().GetScalarRange())
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def _ids(parameters):
    """Of every result that may lie in a view."""
    keys = (*layers.OVERLAYS, "synthetic", "lens", "alignedReference")
    return {node.GetID() for node in (resultNode(parameters, key) for key in keys) if node is not None}


def _composites():
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
