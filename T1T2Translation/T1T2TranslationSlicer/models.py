"""The section "Models": every model that is here, its card to read, and whether it fits the chosen volume."""

from slicer.i18n import tr as _
from T1T2TranslationLib import model_page
from T1T2TranslationLib.catalog import list_models
from T1T2TranslationLib.checks import light_of

from .input_check import checksOf
from .section import Section


class ModelsSection(Section):
    """Reads cards when it is opened or asked to look again; a model that is put to use goes into the panel's own selector."""

    uiFile = "Models.ui"

    def setup(self):
        self._cards, self._checks, self._fitFor = [], {}, None
        self.ui.cardSelector.connect("currentIndexChanged(int)", self.onChosen)
        self.ui.useModelButton.connect("clicked()", self.onUse)
        self.ui.reloadModelsButton.connect("clicked()", self.onReload)
        self.ui.modelsCollapsibleButton.connect("contentsCollapsed(bool)", self.onCollapsed)

    def onSceneClosing(self):
        self._fitFor = None

    def update(self):
        if self.ui.modelsCollapsibleButton.collapsed:
            return
        if not self._cards:
            self._fill()
        node = self.parameters.inputVolume
        seen = node and (node.GetID(), node.GetImageData() and node.GetImageData().GetMTime())
        if seen != self._fitFor:
            self._fitFor = seen
            self._judge(node)
        self._showUse()

    def onCollapsed(self, isCollapsed):
        if self.parameters is not None:
            self.update()

    def onReload(self):
        """Models may have been put into the user's folder meanwhile."""
        self._fill()
        selector = self.panel.ui.modelSelector
        for card in self._cards:
            if card.usable and selector.findData(card.name) < 0:
                selector.addItem(card.title, card.name)
        self.panel.showMessage(_("{count} models are here.").format(count=len(self._cards)))

    def _fill(self):
        self._cards, self._fitFor = list_models(), None
        self.ui.cardSelector.clear()
        for card in self._cards:
            self.ui.cardSelector.addItem(card.name, card.name)
        self._judge(self.parameters and self.parameters.inputVolume)
        names = [card.name for card in self._cards]
        if self.parameters is not None and self.parameters.model in names:
            self.ui.cardSelector.setCurrentIndex(names.index(self.parameters.model))

    def _judge(self, node):
        """Say behind each model's title whether it takes the chosen volume."""
        sources = {card.source for card in self._cards if card.usable}
        self._checks = {source: checksOf(node, source) for source in sources} if node is not None else {}
        fitting = model_page.fitting(self._cards, {source: light_of(checks) for source, checks in self._checks.items()})
        for index, card in enumerate(self._cards):
            title = f"{card.title} ({card.source} → {card.target})" if card.usable else card.name
            reason = "" if card.name in fitting else _("does not fit") if card.usable else _("broken")
            self.ui.cardSelector.setItemText(index, f"{title}: {reason}" if reason else title)
        self.onChosen(self.ui.cardSelector.currentIndex)

    @property
    def _shown(self):
        """The chosen card; None where no model is here."""
        index = self.ui.cardSelector.currentIndex
        return self._cards[index] if 0 <= index < len(self._cards) else None

    def onChosen(self, index):
        card = self._shown
        self.ui.cardBrowser.setMarkdown(model_page.as_markdown(_, card) if card is not None else "")
        self.ui.modelFitLabel.setText(self._fit(card) if card is not None else "")
        self._showUse()

    def _showUse(self):
        """Whether the shown model can be put to use, and why not."""
        card = self._shown
        if card is None:
            reason = _("No model is here.")
        elif self.parameters is not None and self.parameters.model == card.name:
            reason = _("This model is the one in use.")
        else:
            reason = "" if card.usable else _("It is broken; its card says why.")
        self.ui.useModelButton.setEnabled(not reason)
        self.ui.useModelButton.setToolTip(reason or _("Translate with this model."))

    def _fit(self, card):
        """Whether the model takes the chosen volume, in a sentence."""
        checks = self._checks.get(card.source, ())
        if not checks or not card.usable:
            return ""
        name = self.parameters.inputVolume.GetName()
        if light_of(checks) == "red":
            reasons = " ".join(check.message for check in checks if check.level == "red")
            return _("It does not fit '{name}': {reasons}").format(name=name, reasons=reasons)
        return _("It fits '{name}'.").format(name=name)

    def onUse(self):
        card, selector = self._shown, self.panel.ui.modelSelector
        if selector.findData(card.name) < 0:
            selector.addItem(card.title, card.name)
        self.parameters.model = card.name
        self.panel.showMessage(_("The model is now {title}.").format(title=card.title))
