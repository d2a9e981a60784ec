"""A quick look at what is coming: a coarse synthetic volume in the slice views until the full one takes its place."""

import dataclasses

import slicer
from slicer.i18n import tr as _
from T1T2TranslationLib import layers

from . import compare_layout, nodes


class Preview:
    """One preview at a time; `remove` leaves scene and views as they were before it."""

    def __init__(self):
        self._node, self._before = None, {}

    def show(self, translation, inputVolume):
        """Show a coarse translation in the views that show its input or an earlier result of it."""
        self.remove()
        layer = layers.layers_of(translation)[0]
        named = layer.volume.with_array(layer.volume.array, f"{layer.volume.name} {_('preview')}")
        self._node = nodes.newOutput(dataclasses.replace(layer, volume=named), inputVolume)
        self._node.SetSaveWithScene(False)
        nodes.fill(self._node, layer.volume, inputVolume)
        self._node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(layer.volume.affine))
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if compare_layout.VIEWS.get(view.GetLayoutName(), "Synthetic") != "Synthetic":
                continue  # the T1's and the reference's columns keep what they show
            background = slicer.mrmlScene.GetNodeByID(view.GetBackgroundVolumeID() or "")
            if background is inputVolume or (background and background.GetNodeReference("T1T2.Input") is inputVolume):
                self._before[view] = view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()
                view.SetForegroundVolumeID(None)
                view.SetBackgroundVolumeID(self._node.GetID())

    def remove(self):
        """Take the preview away; views that still show it get back what they showed before."""
        if self._node is None:
            return
        for view, (background, foreground) in self._before.items():
            if view.GetBackgroundVolumeID() == self._node.GetID():
                view.SetBackgroundVolumeID(background)
                view.SetForegroundVolumeID(foreground)
        nodes.remove(self._node)
        self._node, self._before = None, {}
