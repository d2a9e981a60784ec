"""The traffic light among the inputs: whether a model is made for the chosen volume, and why not, before anything is computed."""

import qt
from slicer.i18n import tr as _
from T1T2TranslationLib import input_light
from T1T2TranslationLib.catalog import list_models
from T1T2TranslationLib.checks import check_input
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.head import find_head
from T1T2TranslationLib.translation import Check

from . import nodes
from .section import Section

_PATIENCE_MS = 150  # the panel appears first


def checksOf(node, sourceSequence):
    """What the input checks say of a node, as `check_input` says it; a refusal is one red check."""
    try:
        nodes.refuseUnsuitable(node)
        volume = nodes.asVolume(node, inWorld=False)
        return check_input(volume, find_head(volume), sourceSequence)
    except UnsuitableVolume as error:
        return (Check("volume", "red", error.message),)


class InputCheckSection(Section):
    """Looks at the chosen volume a moment after it was chosen, and again when it or the model changes."""

    uiFile = "InputCheck.ui"

    def setup(self):
        self._lookedAt = None
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

    def _wanted(self):
        """What a look would look at; None where there is nothing."""
        node = self.parameters.inputVolume
        if node is None:
            return None
        image = node.GetImageData()
        return node.GetID(), image and image.GetMTime(), self._source()

    def _source(self):
        """The sequence that the chosen model reads."""
        cards = (card for card in list_models() if card.usable and card.name == self.parameters.model)
        return next((card.source for card in cards), "T1")

    def look(self):
        """Show the light."""
        if self.parameters is None or self._wanted() is None:
            return
        self._lookedAt = self._wanted()
        checks = checksOf(self.parameters.inputVolume, self._source())
        self.ui.lightLabel.setText(input_light.as_html(_, checks))
        self.ui.lightLabel.setToolTip(input_light.as_tooltip(checks))
        self.ui.lightLabel.setVisible(True)
