"""The section "View": compare layout, error map, threshold, trust lens; one key hides and shows the error map."""

import qt
import slicer
from slicer.i18n import tr as _
from T1T2TranslationLib import layers
from T1T2TranslationLib.interval import interval_of

from . import compare_layout, looks
from .marks import SyntheticMarks
from .section import Section

OVERLAY_KEY = "Ctrl+Shift+E"


class ViewingSection(Section):
    """Sliders and switches write into the parameter node; whatever they change there, the slice views follow."""

    uiFile = "Viewing.ui"

    def setup(self):
        self._shownOverlays = self._shownChoices = self._shownInterval = None
        self.ui.compareButton.connect("clicked(bool)", self.onCompare)
        self.ui.overlaySelector.connect("activated(int)", self.onOverlayChosen)
        self.ui.overlayCheckBox.setText(self.ui.overlayCheckBox.text + f" ({OVERLAY_KEY})")
        self.ui.matchCheckBox.connect("clicked(bool)", self.onMatch)
        self._matchToolTip = self.ui.matchCheckBox.toolTip
        self._fitTimer = qt.QTimer()  # views that were just made get their size later
        self._fitTimer.setSingleShot(True)
        self._fitTimer.connect("timeout()", compare_layout.fit)
        self.marks = SyntheticMarks()
        self.marks.follow()
        manager, window = slicer.app.layoutManager(), slicer.util.mainWindow()
        self._shortcut = None
        self.ui.compareButton.setEnabled(manager is not None)
        if manager is not None:
            compare_layout.register()
            manager.connect("layoutChanged(int)", self.onLayoutChanged)
        if window is not None:
            self._shortcut = qt.QShortcut(window)
            self._shortcut.setKey(qt.QKeySequence(OVERLAY_KEY))
            self._shortcut.connect("activated()", self.onOverlayKey)

    def cleanup(self):
        self._fitTimer.stop()
        self.marks.close()
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().disconnect("layoutChanged(int)", self.onLayoutChanged)
        if self._shortcut is not None:
            self._shortcut.disconnect("activated()", self.onOverlayKey)
            self._shortcut.deleteLater()
            self._shortcut = None
        self.logic.display.forget()

    def onSceneClosing(self):
        self._shownChoices = None
        self.logic.display.forget()

    def update(self):
        report = self.logic.report(self.parameters.syntheticVolume)
        self.ui.viewingCollapsibleButton.setVisible(bool(report))
        self.ui.compareButton.setChecked(compare_layout.current() == compare_layout.LAYOUT)
        self._fillOverlays(report)
        self.ui.thresholdValueLabel.setText(layers.threshold_text(_, self.parameters.errorThreshold))
        self._fillInterval(report)
        self._fillMatch(report)
        choices = self._choices()
        if self._shownChoices is None:
            self.logic.display.color(self.parameters)  # a scene's file does not always hold the colours of its tables
        elif self._shownChoices != choices and report:
            self.logic.display.refresh(self.parameters)
        self._shownChoices = choices

    def _choices(self):
        names = ("overlay", "overlayVisible", "overlayOpacity", "errorThreshold", "lensStrength")
        return tuple(self.parameters.getValue(name) for name in names)

    def _fillOverlays(self, report):
        overlays = report.get("overlays", {})
        if overlays != self._shownOverlays:
            self._shownOverlays = overlays
            self.ui.overlaySelector.clear()
            for key, title in overlays.items():
                self.ui.overlaySelector.addItem(_(title), key)
        self.ui.overlaySelector.setCurrentIndex(self.ui.overlaySelector.findData(self.parameters.overlay))

    def _fillInterval(self, report):
        """What the model promises of this image; nothing where it promises nothing."""
        error = self.parameters.predictedErrorVolume
        image = error and error.GetImageData()
        shown = (report.get("weights_sha256"), image and image.GetMTime())
        if shown == self._shownInterval:
            return
        self._shownInterval = shown
        interval = interval_of(report) if image else None
        if interval is not None:
            self.ui.intervalLabel.setText(interval.sentence(_, slicer.util.arrayFromVolume(error)))
        self.ui.intervalLabel.setVisible(interval is not None)

    def _fillMatch(self, report):
        """Keep the shown brightness true to the last comparison, and say why where there is none to match."""
        synthetic, fit = self.parameters.syntheticVolume, self._fit(report)
        reason = _whyNoMatch(fit, self.parameters.absoluteErrorVolume)
        self.ui.matchCheckBox.setEnabled(not reason)
        self.ui.matchCheckBox.setToolTip(reason or self._matchToolTip)
        found = looks.matchOf(synthetic) if report else None
        if found is not None and (reason or found[:2] != fit):  # compared with another real T2 since, or with none
            looks.unmatch(synthetic)
            if not reason:
                looks.match(synthetic, *fit)
            self.marks.follow()
        self.ui.matchCheckBox.setChecked(found is not None and not reason)

    def _fit(self, report):
        isCompared = self.parameters.absoluteErrorVolume is not None
        return layers.brightness_fit(report.get("metrics", {})) if isCompared else None

    def onMatch(self, isWanted):
        """Show the synthetic volume as bright as the real one, or as before; no voxel changes."""
        synthetic = self.parameters and self.parameters.syntheticVolume
        if synthetic is None or isWanted == (looks.matchOf(synthetic) is not None):
            return
        if isWanted:
            looks.match(synthetic, *self._fit(self.logic.report(synthetic)))
        else:
            looks.unmatch(synthetic)
        self.marks.follow()

    def onOverlayChosen(self, index):
        if self.parameters is not None and self.parameters.syntheticVolume is not None:
            self.parameters.overlay = self.ui.overlaySelector.itemData(index)
            self.logic.display.takeViews(self.parameters)

    def onOverlayKey(self):
        if self.parameters is not None:
            self.parameters.overlayVisible = not self.parameters.overlayVisible

    def onCompare(self, isWanted):
        if self.parameters is None or self.parameters.syntheticVolume is None:
            return
        if isWanted:
            compare_layout.show(self.parameters)
            self.logic.display.takeViews(self.parameters)
            compare_layout.fit()
            self._fitTimer.start(0)
        else:
            compare_layout.hide(self.parameters)

    def onLayoutChanged(self, layout):
        self.ui.compareButton.setChecked(layout == compare_layout.LAYOUT)
        self.marks.follow()


def _whyNoMatch(fit, error):
    """Why brightness cannot be matched; "" where it can."""
    if error is None:
        return _("There is no real T2 to match: choose one under Inputs.")
    if fit is None:
        return _("No brightness was measured: there is no brain in the region of interest.")
    if not fit[0] > 0:
        return _("The synthetic image is darker where the real one is brighter (gain {gain}): no window can match them.").format(
            gain=f"{fit[0]:.2f}"
        )
    return ""
