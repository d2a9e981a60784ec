"""SYNTHETIC, written into every slice view that shows one of our synthetic volumes, for as long as it does."""

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from T1T2TranslationLib.layers import OVERLAYS
from T1T2TranslationLib.translation import MARK

from .looks import matchOf


class SyntheticMarks(VTKObservationMixin):
    """A text of our own in each slice view: Slicer's corner annotations belong to its data probe, which overwrites them."""

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self._texts = {}  # layout name -> text actor

    def follow(self):
        """Mark the views that are there by now; called again when a layout has made new ones."""
        manager = slicer.app.layoutManager()
        for name in [] if manager is None else manager.sliceViewNames():
            if name not in self._texts:
                self._texts[name] = _text()
                _renderer(name).AddViewProp(self._texts[name])
                self.addObserver(_composite(name), vtk.vtkCommand.ModifiedEvent, self._update)
            self._update(_composite(name))

    def isShown(self, name):
        """Whether a view, by its layout name, is marked."""
        return name in self._texts and bool(self._texts[name].GetVisibility())

    def close(self):
        """Take every mark back."""
        self.removeObservers()
        manager = slicer.app.layoutManager()
        for name, text in self._texts.items():
            if manager is not None and manager.sliceWidget(name) is not None:
                _renderer(name).RemoveViewProp(text)
        self._texts.clear()

    def _update(self, composite, event=None):
        name = composite.GetLayoutName()
        behind, over = (
            slicer.mrmlScene.GetNodeByID(nodeId or "")
            for nodeId in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
        )
        isSynthetic = _isSynthetic(behind) or (
            # An error map over a real image leaves that a real image.
            _isSynthetic(over) and over.GetAttribute("T1T2.Kind") not in OVERLAYS and composite.GetForegroundOpacity() > 0
        )
        words = _words(behind, over)
        text = self._texts[name]
        if bool(text.GetVisibility()) != isSynthetic or text.GetInput() != words:
            text.SetInput(words)
            text.SetVisibility(isSynthetic)
            slicer.app.layoutManager().sliceWidget(name).sliceView().scheduleRender()


def _words(behind, over):
    if _isLens(behind):
        return f"{MARK} + {_('scan (blue)')}"
    isMatched = any(node is not None and matchOf(node) is not None for node in (behind, over))
    return f"{MARK}, {_('brightness matched')}" if isMatched else MARK


def _isSynthetic(node):
    return node is not None and node.GetAttribute("T1T2.Synthetic") is not None


def _isLens(node):
    return node is not None and node.GetAttribute("T1T2.Kind") == "lens"


def _composite(name):
    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()


def _renderer(name):
    return slicer.app.layoutManager().sliceWidget(name).sliceView().renderWindow().GetRenderers().GetFirstRenderer()


def _text():
    text = vtk.vtkTextActor()
    text.SetInput(MARK)
    text.SetVisibility(False)
    text.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    text.SetPosition(0.02, 0.98)
    style = text.GetTextProperty()
    style.SetFontSize(15)
    style.SetBold(True)
    style.SetShadow(True)
    style.SetColor(1.0, 0.75, 0.3)
    style.SetVerticalJustificationToTop()
    return text
