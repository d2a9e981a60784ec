"""The section "Measures": scores by region, charts, and both as files, once a real T2 was chosen."""

import json
import os

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _
from T1T2TranslationLib import layers
from T1T2TranslationLib.errors import T1T2Error, UnsuitableVolume
from T1T2TranslationLib.metrics import compute_metrics
from T1T2TranslationLib.output import staged_files
from T1T2TranslationLib.translation import UNIT

from . import charts, compare_layout, nodes, result_nodes
from .section import Section

_SEGMENTS = "T1T2.Segments"  # attribute of a synthetic volume: the scores of the chosen segmentation's segments, as JSON


class MeasuresSection(Section):
    """Shows what the comparison measured; measures more where a segmentation is chosen."""

    uiFile = "Measures.ui"

    def setup(self):
        self._listener = None
        for name in charts.CHARTS:
            self.ui.chartSelector.addItem(charts.title(name), name)
        self.ui.chartButton.connect("clicked(bool)", self.onChart)
        self.ui.chartSelector.connect("activated(int)", self.onChartChosen)
        self.ui.segmentsButton.connect("clicked()", self.onSegments)
        self.ui.tableButton.connect("clicked()", self.onSaveTable)
        self.ui.reportButton.connect("clicked()", self.onSaveReport)
        for button in (self.ui.chartButton, self.ui.chartSelector):
            button.setEnabled(slicer.app.layoutManager() is not None)
        charts.register()
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().connect("layoutChanged(int)", self.onLayoutChanged)

    def cleanup(self):
        self._stopListening()
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().disconnect("layoutChanged(int)", self.onLayoutChanged)

    def onLayoutChanged(self, layout):
        self.ui.chartButton.setChecked(layout == compare_layout.CHART_LAYOUT)

    def _stopListening(self):
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def update(self):
        metrics = self.metrics()
        hasResults = self.parameters.syntheticVolume is not None
        self.ui.measuresCollapsibleButton.setVisible(hasResults)
        for widget in (self.ui.tableButton, self.ui.segmentsButton, self.ui.chartButton, self.ui.chartSelector):
            widget.setVisible(bool(metrics))
        for widget in (self.ui.segmentsSelector, self.ui.segmentsLabel):
            widget.setVisible(bool(metrics))
        self.ui.segmentsButton.setEnabled(self.parameters.segmentsNode is not None)
        self.ui.metricsLabel.setText(layers.metrics_as_html(metrics) + f"<p>{self._unit()}</p>" if metrics else self._missing())

    def _missing(self):
        """Why there are no measures."""
        if self.parameters.absoluteErrorVolume is None:
            return _("Choose a real T2 under Inputs to measure the error; the model need not run again.")
        return _("There is no brain in the region of interest, so nothing was measured.")

    def _unit(self):
        return _("MAE 0.1 is an error of {error} in the images' unit ({unit}: about as bright as fluid).").format(
            error=UNIT // 10, unit=UNIT
        )

    def metrics(self):
        """Region -> measure -> value: of the comparison, then of the segments; empty without a real T2."""
        synthetic = self.parameters.syntheticVolume
        if synthetic is None or self.parameters.absoluteErrorVolume is None:
            return {}
        return {**self.logic.report(synthetic).get("metrics", {}), **layers.read_metrics(synthetic.GetAttribute(_SEGMENTS))}

    def onSegments(self):
        """Score every segment of the chosen segmentation by itself."""
        try:
            scores = segmentScores(self.parameters)
        except T1T2Error as error:
            self.panel.showMessage(str(error), isError=True)
            return
        self.parameters.syntheticVolume.SetAttribute(_SEGMENTS, json.dumps(scores))
        self.panel.update()

    def onChartChosen(self):
        if compare_layout.current() == compare_layout.CHART_LAYOUT:
            self.onChart(True)

    def onChart(self, isWanted):
        """Lay the chosen chart under the synthetic volume, or bring the previous layout back."""
        if not isWanted:
            compare_layout.hide(self.parameters)
            return
        charts.show(self.ui.chartSelector.currentData, self.parameters)
        self.logic.display.takeViews(self.parameters)
        self._stopListening()
        if self.ui.chartSelector.currentData == "slices":
            self._listener = charts.listen(self.onSliceChosen)

    def onSliceChosen(self, row):
        point = None if self.parameters is None else charts.slicePoint(self.parameters, row)
        if point is not None:
            compare_layout.jump(point)

    def onSaveTable(self):
        self._save(_("Save the measures"), "csv", lambda path: _write(layers.metrics_as_csv(self.metrics()), path))

    def onSaveReport(self):
        self._save(_("Save the report"), "html", self._writeReport)

    def _writeReport(self, path):
        from T1T2TranslationLib.report import write_report

        source = self.parameters.syntheticVolume.GetNodeReference("T1T2.Input")
        if source is None:
            what = _("The T1 volume of '{name}' is no longer there.").format(name=self.parameters.syntheticVolume.GetName())
            raise UnsuitableVolume(what, _("The report shows it beside the result: load it, and translate again."))
        write_report(nodes.asVolume(source, inWorld=False), result_nodes.lastTranslation(self.parameters), path)

    def _save(self, what, extension, write):
        proposal = os.path.join(slicer.app.defaultScenePath, f"{self.parameters.syntheticVolume.GetName()}.{extension}")
        path = qt.QFileDialog.getSaveFileName(self.widget, what, proposal, f"*.{extension}")
        if not path:
            return
        try:
            write(path)
        except T1T2Error as error:
            self.panel.showMessage(str(error), isError=True)
        else:
            self.panel.showMessage(_("Written: {path}").format(path=path))


def segmentScores(parameters):
    """The measures of protocol T2P-1 over each segment of the chosen segmentation; raises UnsuitableVolume for an empty one."""
    synthetic, real = (
        nodes.asVolume(node, inWorld=False) for node in (parameters.syntheticVolume, parameters.alignedReferenceVolume)
    )
    segmentation = parameters.segmentsNode.GetSegmentation()
    truth = np.clip(real.array.astype(np.float32) / UNIT, 0, 1)
    prediction = synthetic.array / np.float32(UNIT)
    masks = {}
    for segmentId in segmentation.GetSegmentIDs():
        mask = nodes.segmented(parameters.segmentsNode, parameters.syntheticVolume, [segmentId]) > 0
        if mask.any():
            masks[segmentation.GetSegment(segmentId).GetName()] = mask
    return compute_metrics(prediction, truth, masks, synthetic.spacing_mm) if masks else {}


def _write(text, path):
    with staged_files() as staging:
        staging.add_text(text, path)
