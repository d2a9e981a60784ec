"""The traffic light among the inputs: whether a model is made for the chosen volume, and why not, before anything is computed."""

import qt
from slicer.i18n import tr as _
from T1T2TranslationLib import input_light
from T1T2TranslationLib.catalog import list_models
from T1T2TranslationLib.checks import check_input, check_model, refuse_unfit_mask
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.head import find_head
from T1T2TranslationLib.resampling import resample_mask
from T1T2TranslationLib.translation import Check

from . import nodes
from .section import Section

_PATIENCE_MS = 150  # the panel appears first


def checksOf(node, sourceSequence, card=None, maskNode=None):
    """What the input checks say of a node, and the card of where its model is weak, as `translate` says it.

    What cannot be translated at all is one red check.
    """
    try:
        given = nodes.volumesOf(node, None, maskNode)
        volume, mask = given["volume"], given["mask"]
        if mask is not None:
            refuse_unfit_mask(mask)
        head = find_head(volume, None if mask is None else resample_mask(mask, volume))
        return check_input(volume, head, sourceSequence) + (check_model(card, head) if card else ())
    except UnsuitableVolume as error:
        return (Check(input_light.UNUSABLE, "red", str(error)),)


class InputCheckSection(Section):
    """Looks at the chosen volume a moment after it was chosen, and again when it or the model changes."""

    uiFile = "InputCheck.ui"

    def setup(self):
        self._lookedAt, self._checks = None, ()
        self.panel.ui.inputsCollapsibleButton.layout().addRow(self.widget)
        self.ui.lightLabel.setVisible(False)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PATIENCE_MS)
        self._timer.connect("timeout()", self.look)

    def cleanup(self):
        self._timer.stop()

    def onSceneClosing(self):
        self._timer.stop()
        self._lookedAt = None
        self.ui.lightLabel.setVisible(False)

    def update(self):
        wanted = self._wanted()
        if wanted is None:
            self._lookedAt = None
            self.ui.lightLabel.setVisible(False)
        elif wanted != self._lookedAt:
            self._timer.start()
        else:
            self._show()

    def reasonNotToApply(self):
        wanted = self._wanted()
        isKnown = wanted is not None and wanted == self._lookedAt
        return input_light.refusal(_, self._checks, self.parameters.acceptAnyInput) if isKnown else ""

    def _wanted(self):
        """What a look would look at; None where there is nothing."""
        chosen = self.parameters
        return chosen.inputVolume and (_stamp(chosen.inputVolume), _stamp(chosen.maskNode), chosen.model)

    def _card(self):
        """Of the chosen model; None where it is not here."""
        return next((card for card in list_models() if card.usable and card.name == self.parameters.model), None)

    def look(self):
        """Look, and show the light."""
        if self.parameters is None or self._wanted() is None:
            return
        self._lookedAt = self._wanted()
        card = self._card()
        chosen = self.parameters
        self._checks = checksOf(chosen.inputVolume, card.source if card else "T1", card, chosen.maskNode)
        self.panel.update()  # which may forbid to apply now, and shows the light

    def _show(self):
        self.ui.lightLabel.setText(input_light.as_html(_, self._checks, self.parameters.acceptAnyInput))
        self.ui.lightLabel.setToolTip(input_light.as_tooltip(self._checks))
        self.ui.lightLabel.setVisible(True)


def _stamp(node):
    """What changes with the voxels or segments of a node."""
    if node is None:
        return None
    content = node.GetSegmentation() if node.IsA("vtkMRMLSegmentationNode") else node.GetImageData()
    return node.GetID(), content and content.GetMTime()
