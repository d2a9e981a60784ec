"""The section "Provenance": where a result comes from, as DICOM to take along, and everything chosen to make it again."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from T1T2TranslationLib import layers
from T1T2TranslationLib.errors import T1T2Error, UnsuitableVolume

from . import nodes, result_nodes
from .section import Section

_DEVICES = ("cpu", "cuda", "mps")


class RecordSection(Section):
    """Shows the record that each result carries in its node's attributes."""

    uiFile = "Record.ui"

    def setup(self):
        self._listed = self._written = None
        self.ui.resultSelector.connect("currentIndexChanged(int)", self.onChosen)
        self.ui.reproduceButton.connect("clicked()", self.onReproduce)
        self.ui.exportButton.connect("clicked()", self.onExport)

    def onSceneClosing(self):
        self._listed = self._written = None
        self.ui.resultSelector.clear()

    def update(self):
        found = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if _isResult(node)]
        self.ui.recordCollapsibleButton.setVisible(bool(found))
        synthetic = self.parameters.syntheticVolume
        listed = [(node.GetID(), node.GetName()) for node in found], synthetic and synthetic.GetID()
        if listed != self._listed:
            self._listed = listed
            self._list(*listed)
        self._write()

    def _list(self, rows, shownId):
        self.ui.resultSelector.clear()
        for nodeId, name in rows:
            self.ui.resultSelector.addItem(name, nodeId)
        self.ui.resultSelector.setCurrentIndex(max(0, self.ui.resultSelector.findData(shownId or "")))

    def _write(self):
        """The chosen result's record, where it or the node has changed."""
        node = self.result
        stamp = node and (node.GetID(), node.GetMTime())
        if stamp != self._written:
            self._written = stamp
            self.ui.recordLabel.setText(_asText(result_nodes.report(node)) if node is not None else "")

    @property
    def result(self):
        """The chosen synthetic volume."""
        return slicer.mrmlScene.GetNodeByID(self.ui.resultSelector.currentData or "")

    def onChosen(self, index):
        self._write()

    def onReproduce(self):
        """Choose what this result was made with; Apply stays for the user to press."""
        node = self.result
        report, chosen = result_nodes.report(node), self.parameters
        inputVolume = node.GetNodeReference("T1T2.Input")
        if inputVolume is None:
            self.panel.showMessage(_("The T1 volume of '{name}' is no longer there.").format(name=node.GetName()), isError=True)
            return
        with slicer.util.NodeModify(chosen):
            chosen.inputVolume = inputVolume
            chosen.referenceVolume = node.GetNodeReference("T1T2.Reference")
            chosen.maskNode = node.GetNodeReference("T1T2.Mask")
            chosen.regionNode = node.GetNodeReference("T1T2.Region")
            chosen.model = report["model"]
            chosen.device = report["device"] if report["device"] in _DEVICES else "auto"
            chosen.acceptAnyInput = any(check["level"] == "red" for check in report["checks"])
        self.panel.showMessage(self._reproduced(report, node))

    def _reproduced(self, report, node):
        if report.get("mask_given") and node.GetNodeReference("T1T2.Mask") is None:
            return _("All is chosen as for '{name}', but its mask is no longer there.").format(name=node.GetName())
        if report.get("region_given") and node.GetNodeReference("T1T2.Region") is None:
            return _("All is chosen as for '{name}', but its region of interest is no longer there.").format(name=node.GetName())
        return _("All is chosen as for '{name}': press Apply to make it again.").format(name=node.GetName())

    def onExport(self):
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder for the DICOM series"))
        if folder:
            self.exportTo(folder)

    def exportTo(self, folder):
        """Write the chosen result into a new sub-folder of `folder`, and tell."""
        from T1T2TranslationLib import dicom_export

        try:
            translation = _translationOf(self.result)
            origin = dicom_export.read_origin(sourceFiles(self.result.GetNodeReference("T1T2.Input")))
            place = Path(folder) / "_".join(self.result.GetName().split())
            written = dicom_export.write_series(dicom_export.series_of_translation(translation, origin), place)
        except T1T2Error as error:
            self.panel.showMessage(str(error), isError=True)
            return
        whose = "" if origin.headers else " " + _("The T1 volume came from no DICOM study, so they are anonymous.")
        message = _("{count} DICOM files were written into '{folder}'.").format(count=len(written), folder=place.name)
        self.panel.showMessage(message + whose)


def sourceFiles(node):
    """The DICOM files that a volume node was loaded from, as Slicer's database knows them; none for other formats."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split() if node is not None else []
    database = getattr(slicer, "dicomDatabase", None)
    files = [database.fileForInstance(uid) for uid in uids] if database is not None else []
    return [file for file in files if file and Path(file).is_file()]


def _isResult(node):
    return node.GetAttribute("T1T2.Kind") == "synthetic" and bool(result_nodes.report(node))


def _translationOf(synthetic):
    """A result with those of its error maps that are in the scene."""
    inputVolume = synthetic.GetNodeReference("T1T2.Input")
    volumes = {"synthetic": nodes.asVolume(synthetic, inWorld=False)}
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        isOfThis = inputVolume is not None and node.GetNodeReference("T1T2.Input") is inputVolume
        if isOfThis and node.GetAttribute("T1T2.Provenance") == synthetic.GetAttribute("T1T2.Provenance"):
            volumes.setdefault(node.GetAttribute("T1T2.Kind"), nodes.asVolume(node, inWorld=False))
    if "predictedError" not in volumes:
        what = _("The predicted error of '{name}' is no longer there.").format(name=synthetic.GetName())
        raise UnsuitableVolume(what, _("Translate again, and export then."))
    return layers.translation_of(result_nodes.report(synthetic), volumes)


def _asText(report):
    checks = [f"{check['level']}: {check['message']}" for check in report["checks"] if check["level"] != "green"]
    areas = [name for key, name in (("mask_given", _("a mask")), ("region_given", _("a region of interest"))) if report.get(key)]
    rows = [
        (_("Model"), f"{report['model']} {report.get('model_version', '')}"),
        (_("Weights"), f"SHA-256 {report['weights_sha256'][:16]}…"),
        (_("Software"), f"{report.get('software', '')}, torch {report.get('torch', '')}"),
        (_("Device"), f"{report['device']}, {report.get('precision', '')}"),
        (_("Date"), report.get("date", "")),
        (_("Restricted to"), ", ".join(areas) or _("nothing, the whole head")),
        (_("Input checks"), " ".join(checks) or _("all green")),
    ]
    return "\n".join(f"{name}: {value}" for name, value in rows)
