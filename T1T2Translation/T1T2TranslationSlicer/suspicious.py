"""The section "Suspicious places": a table of the regions around the highest error; choosing one takes all views there."""

import qt
from slicer.i18n import tr as _
from T1T2TranslationLib import layers
from T1T2TranslationLib.places import MOST, find_places

from . import compare_layout, nodes
from .display import shownError
from .section import Section

_PATIENCE_MS = 300  # a slider in motion is let come to rest first


class SuspiciousPlacesSection(Section):
    """Looks for places while it is open, in the error map that is shown, from the threshold of the section "View" on."""

    uiFile = "SuspiciousPlaces.ui"

    def setup(self):
        self._lookedAt, self._points = None, []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PATIENCE_MS)
        self._timer.connect("timeout()", self.search)
        columns = [_("ml"), _("Mean"), _("Highest"), _("Place")]
        self.ui.placesTable.setHorizontalHeaderLabels(columns)
        self.ui.placesTable.horizontalHeader().setStretchLastSection(True)
        self.ui.placesTable.connect("currentCellChanged(int,int,int,int)", self.onChosen)
        self.ui.placesTable.connect("cellClicked(int,int)", self.onChosen)
        self.ui.previousButton.connect("clicked()", self.onPrevious)
        self.ui.nextButton.connect("clicked()", self.onNext)
        self.ui.placesCollapsibleButton.connect("contentsCollapsed(bool)", self.onCollapsed)

    def cleanup(self):
        self._timer.stop()

    def onSceneClosing(self):
        self._timer.stop()
        self._lookedAt = None
        self._show([], None)

    def update(self):
        error = shownError(self.parameters)
        self.ui.placesCollapsibleButton.setVisible(error is not None)
        if not self.isUpToDate():
            self._timer.start()

    def onCollapsed(self, isCollapsed):
        if self.parameters is not None:
            self.update()

    def _wanted(self):
        """What a search would look at; None where there is nothing to search, or nobody to see it."""
        error = shownError(self.parameters)
        if error is None or error.GetImageData() is None or self.ui.placesCollapsibleButton.collapsed:
            return None
        return error.GetID(), error.GetImageData().GetMTime(), self.parameters.errorThreshold

    def isUpToDate(self):
        """Whether the table shows what a search would find now, as far as anybody can see it."""
        return self._wanted() in (None, self._lookedAt)

    def search(self):
        """Fill the table."""
        if self.parameters is None or self._wanted() is None:
            return
        self._lookedAt = self._wanted()
        error, synthetic = shownError(self.parameters), self.parameters.syntheticVolume
        # The user may have removed or changed what was translated, or what was made of it.
        candidates = (synthetic.GetNodeReference("T1T2.Input"), synthetic, error)
        scan = next(node for node in candidates if node is not None and nodes.haveSameGrid(node, error))
        volumes = [nodes.asVolume(node, inWorld=False) for node in (error, scan)]
        self._show(find_places(*volumes, self.parameters.errorThreshold), error)

    def _show(self, places, error):
        table = self.ui.placesTable
        table.blockSignals(True)
        table.setRowCount(len(places))
        self._points = [_inWorld(error, place.peak_ras_mm) for place in places]
        for row, (place, point) in enumerate(zip(places, self._points, strict=True)):
            words = ", ".join(_(word) for word in place.words)
            position = _("R {:.0f}, A {:.0f}, S {:.0f} mm").format(*point)
            texts = (f"{place.volume_ml:.1f}", f"{place.mean:.0f}", f"{place.maximum:.0f}", words)
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(position)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        table.clearSelection()
        table.setCurrentCell(-1, -1)
        table.blockSignals(False)
        self._updateButtons(-1)
        self.ui.placesLabel.setText(self._summary(len(places)))

    def _summary(self, count):
        if self.parameters is None:
            return ""
        threshold = layers.error_text(self.parameters.errorThreshold)
        if not count:
            return _("No region of the brain reaches an error of {threshold}.").format(threshold=threshold)
        if count == MOST:
            sentence = _("The {count} places of most error in the brain, of those with an error from {threshold}.")
        else:
            sentence = _("Places in the brain with an error from {threshold}, most error in all first: {count}.")
        return sentence.format(count=count, threshold=threshold)

    def onChosen(self, row, column):
        if 0 <= row < len(self._points):
            compare_layout.jump(self._points[row])
            self._updateButtons(row)

    def onPrevious(self):
        self.ui.placesTable.setCurrentCell(max(self.ui.placesTable.currentRow() - 1, 0), 0)

    def onNext(self):
        self.ui.placesTable.setCurrentCell(min(self.ui.placesTable.currentRow() + 1, len(self._points) - 1), 0)

    def _updateButtons(self, row):
        self.ui.previousButton.setEnabled(row > 0)
        self.ui.nextButton.setEnabled(row < len(self._points) - 1)


def _inWorld(node, ras):
    """A point of a node's own space (RAS mm) in the world."""
    point = [0.0, 0.0, 0.0]
    node.TransformPointToWorld([float(value) for value in ras], point)
    return point
