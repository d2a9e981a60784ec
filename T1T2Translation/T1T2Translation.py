"""The panel in 3D Slicer: nodes in, nodes out; whatever needs no Slicer is decided in T1T2TranslationLib."""

import os

import qt
import slicer
import vtk
from slicer import ScriptedLoadableModule as base
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.util import TESTING_DATA_URL, VTKObservationMixin
from T1T2TranslationLib import catalog, layers, panel, requirements, samples
from T1T2TranslationLib.coarsening import coarse
from T1T2TranslationLib.errors import Cancelled, DeviceFailure, T1T2Error, UnsuitableOutput, UnsuitableVolume
from T1T2TranslationLib.translation import DISCLAIMER
from T1T2TranslationLib.worker_process import WorkerProcess
from T1T2TranslationSlicer import charts, compare_layout, nodes, result_nodes
from T1T2TranslationSlicer.display import Display
from T1T2TranslationSlicer.parameters import T1T2TranslationParameterNode
from T1T2TranslationSlicer.preview import Preview
from T1T2TranslationSlicer.sections import SECTIONS
from T1T2TranslationSlicer.self_tests import T1T2TranslationTest  # noqa: F401 - where Slicer looks for it

WARM_UP_AFTER_MS = 1500  # without a change in the panel


class T1T2Translation(base.ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        base.ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("T1-T2 Translation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        parent.contributors = ["The T1T2Translation contributors"]
        parent.helpText = _("Makes a synthetic T2-weighted MR image of a head from a T1-weighted one, with a map of its error.")
        parent.acknowledgementText = _("Continues the study of Avula, Conte and Erickson (2020).") + " " + DISCLAIMER
        slicer.app.connect("startupCompleted()", registerSampleData)
        for layout in (compare_layout, charts):  # for scenes that were saved in one of them
            slicer.app.connect("startupCompleted()", layout.register)


def registerSampleData():
    import SampleData

    icon = os.path.join(os.path.dirname(__file__), "Resources", "Icons", "T1T2Translation.png")
    for source in samples.sources(TESTING_DATA_URL):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(category="T1T2Translation", thumbnailFileName=icon, **source)


class T1T2TranslationWidget(base.ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Asks and shows; what it asks for is done by the logic and the worker process."""

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)
        self._parameterNode = self._guiTag = self._shownReport = self._namedFor = self._wholeJob = None
        self._inputOfJob = self._referenceOfJob = self._maskOfJob = self._regionOfJob = None
        self._orphans = []
        base.ScriptedLoadableModuleWidget.__init__(self, parent)  # last: without a parent it calls setup

    def setup(self):
        base.ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/T1T2Translation.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = T1T2TranslationLogic()
        self.worker = WorkerProcess(qt, slicer.app.temporaryPath)
        self.preview = Preview()
        self.warmUpTimer = qt.QTimer()  # loading PyTorch takes seconds, a preview is wanted within one
        self.warmUpTimer.setSingleShot(True)
        self.warmUpTimer.setInterval(WARM_UP_AFTER_MS)
        self.warmUpTimer.connect("timeout()", self.worker.warm_up)
        self.ui.disclaimerLabel.setText(DISCLAIMER)
        for card in filter(lambda card: card.usable, catalog.list_models()):
            self.ui.modelSelector.addItem(card.title, card.name)
        self.ui.installButton.connect("clicked()", self.onInstall)
        self.ui.applyButton.connect("clicked()", self.onApply)
        self.ui.cancelButton.connect("clicked()", self.worker.cancel)
        self.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onInputChosen)
        self.ui.maskSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onMaskChosen)
        self.ui.regionSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onRegionChosen)
        self.ui.referenceSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onReferenceChosen)
        self.ui.modelSelector.connect("currentIndexChanged(int)", self.onModelChosen)
        self.sections = [section(self) for section in SECTIONS]
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.StartImportEvent, lambda caller, event: self.unbind())
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self.onNodeRemoved)
        # After a scene was closed or read (unbound, or None would be remembered), and after the selectors know its nodes.
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.EndBatchProcessEvent, self.onSceneEndBatch, priority=-1.0)
        self.enter()

    def enter(self):
        if self._parameterNode is None:
            self.bind()
        self.update()

    def bind(self):
        """Let panel and parameter node follow each other; what cannot be bound follows in `update`."""
        self._parameterNode = self.logic.getParameterNode()
        if self._parameterNode.inputVolume is None:
            volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")  # also label maps and vector volumes
            self._parameterNode.inputVolume = next((node for node in volumes if node.GetNodeTagName() == "Volume"), None)
        if self._parameterNode.syntheticVolume is None and self.findResults():  # of a batch; the views stay as they are
            self._parameterNode.overlay = result_nodes.bestOverlay(self._parameterNode)
        everyWidget = [widget for part in (self, *self.sections) for widget in vars(part.ui).values()]
        widgets = {name: widget for widget in everyWidget if (name := widget.property("SlicerParameterName"))}
        self._guiTag = self._parameterNode.connectParametersToGui(widgets)  # connectGui does not tell the tag
        self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)

    def unbind(self):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)
            self._parameterNode = None

    def cleanup(self):
        for section in self.sections:
            section.cleanup()
        self.warmUpTimer.stop()
        self.worker.close()
        self.preview.remove()
        self.unbind()
        self.removeObservers()

    def onSceneStartClose(self, caller, event):
        self.worker.talk.drop()
        self.warmUpTimer.stop()
        self.preview.remove()
        for section in self.sections:
            section.onSceneClosing()
        self.unbind()
        self.showMessage("")

    def onSceneEndBatch(self, caller, event):
        if self._parameterNode is None:
            self.enter()

    def onInputChosen(self, node):
        """What was made of a volume before is shown again when it is chosen again."""
        if self._parameterNode is None or node is self._parameterNode.inputVolume:  # a panel that opens changes no view
            return
        self._parameterNode.inputVolume = node
        self._parameterNode.acceptAnyInput = False  # what was insisted on for one scan is not for the next
        if not self.worker.talk.is_busy:
            self.showMessage("")  # it spoke of another scan
        if self.findResults():
            self.logic.showResults()

    def showResultsOf(self, node):
        """Choose a volume and show what was made of it, also where it was chosen before and something else is in the views."""
        self.onInputChosen(node)
        self.findResults()
        if result_nodes.isOf(self._parameterNode.syntheticVolume, node):
            self.logic.showResults()

    def findResults(self):
        """Let the panel show what was made of the chosen volume before; tells whether that is another result than it showed."""
        chosen = self._parameterNode
        if chosen.inputVolume is None or result_nodes.isOf(chosen.syntheticVolume, chosen.inputVolume):
            return False
        found = result_nodes.lastOutputsOf(chosen.inputVolume, chosen.model)
        if found:
            result_nodes.choose(chosen, found)
        return bool(found)

    def onMaskChosen(self, node):
        if self._parameterNode is not None:
            self._parameterNode.maskNode = node

    def onRegionChosen(self, node):
        if self._parameterNode is not None:
            self._parameterNode.regionNode = node

    def onReferenceChosen(self, node):
        """The true error as soon as a real T2 is chosen, the predicted one as soon as there is none."""
        if self._parameterNode is None:
            return
        self._parameterNode.referenceVolume = node
        if self._parameterNode.syntheticVolume is not None:
            self._parameterNode.overlay = result_nodes.bestOverlay(self._parameterNode)
        self.compareIfWanted()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """An output that goes takes along what serves it alone: deleting the outputs undoes a translation."""
        if node.GetAttribute("T1T2.Provenance") and not slicer.mrmlScene.IsBatchProcessing():
            nodes.giveViewsBack(node)
            self._orphans += nodes.companions(node)

    def onNodeRemoved(self, caller, event):
        orphans, self._orphans = self._orphans, []
        for node in orphans:
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        for table in nodes.unusedTables() if orphans else []:
            slicer.mrmlScene.RemoveNode(table)

    def onModelChosen(self, index):
        if self._parameterNode is not None and index >= 0:
            self._parameterNode.model = self.ui.modelSelector.itemData(index)

    def update(self, caller=None, event=None):
        """Show what is chosen, what is missing, whether a job runs, and the last results."""
        self.ui.maskSelector.setCurrentNode(self._parameterNode.maskNode)
        self.ui.regionSelector.setCurrentNode(self._parameterNode.regionNode)
        self.ui.modelSelector.setCurrentIndex(self.ui.modelSelector.findData(self._parameterNode.model))
        self.nameSequences(self._parameterNode.model)
        torchVersion, hasInstaller = requirements.torch_version(), hasattr(slicer.modules, "pytorchutils")
        self.ui.setupLabel.setText(panel.setup_line(_, torchVersion, hasInstaller))
        self.ui.setupLabel.setVisible(not torchVersion)
        self.ui.installButton.setVisible(hasInstaller and not torchVersion)
        chosen = self._parameterNode
        restrictions = chosen.maskNode is not None, chosen.regionNode is not None, chosen.acceptAnyInput
        self.ui.advancedCollapsibleButton.setText(panel.advanced_title(_, *restrictions))
        isBusy, hasInput = self.worker.talk.is_busy, self._parameterNode.inputVolume is not None
        missingModel = "" if self.ui.modelSelector.currentIndex >= 0 else self._parameterNode.model
        refused = next(filter(None, (section.reasonNotToApply() for section in self.sections)), "")
        reason = panel.reason_not_to_apply(_, bool(torchVersion), isBusy, missingModel, hasInput, refused)
        self.ui.applyButton.setEnabled(not reason)
        self.ui.applyButton.setToolTip(reason or _("Translate the chosen volume."))
        self.ui.progressBar.setVisible(isBusy)
        self.ui.cancelButton.setVisible(isBusy)
        self.ui.messageLabel.setVisible(bool(self.ui.messageLabel.text))
        if not (reason or self.worker.is_running):
            self.warmUpTimer.start()
        self.updateResults(self.logic.report(self._parameterNode.syntheticVolume))
        for section in self.sections:
            section.update()

    def nameSequences(self, model):
        """Let the inputs' labels say which sequences the chosen model reads and makes."""
        if model == self._namedFor:
            return
        self._namedFor = model
        for card in catalog.list_models():
            if card.name == model and card.usable:
                self.ui.inputLabel.setText(_("{sequence} volume:").format(sequence=card.source))
                self.ui.referenceLabel.setText(_("Real {sequence}:").format(sequence=card.target))

    def onInstall(self):
        import PyTorchUtils

        with slicer.util.tryWithErrorDisplay(_("PyTorch could not be installed."), waitCursor=True):
            PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True)
        self.update()

    def onApply(self):
        chosen = self._parameterNode
        self._inputOfJob, self._referenceOfJob = chosen.inputVolume, chosen.referenceVolume
        self._maskOfJob, self._regionOfJob = chosen.maskNode, chosen.regionNode
        self.attempt(self.startTranslation)

    def attempt(self, ask):
        """Ask the worker for something; what cannot be asked is told."""
        self.onProgress(0.0, _("Starting"))
        self.showMessage("")
        try:
            ask()
        except T1T2Error as error:
            self.onError(error)
        else:
            self.update()

    def startTranslation(self):
        """Translate the chosen volume, a large one coarsely first."""
        chosen = self._parameterNode
        arguments = self.logic.volumes(chosen.inputVolume, chosen.referenceVolume, chosen.maskNode, chosen.regionNode)
        arguments.update(model=chosen.model, device=chosen.device, accept_any_input=chosen.acceptAnyInput)
        self._wholeJob = lambda: self.worker.translate(arguments, self.onProgress, self.onDone, self.onError)
        small = None if chosen.inputVolume.GetTransformNodeID() else coarse(arguments["volume"])
        if small is None:
            self._wholeJob()
        else:
            quick = arguments | {"volume": small, "reference": None}
            self.worker.translate(quick, self.onProgress, self.onPreview, self.onPreviewFailed)

    def onPreview(self, translation):
        if slicer.mrmlScene.IsNodePresent(self._inputOfJob):
            self.preview.show(translation, self._inputOfJob)
        self.attempt(self._wholeJob)
        self.showMessage(_("Coarse preview; the full result will take its place."))

    def onPreviewFailed(self, error):
        if isinstance(error, (Cancelled, DeviceFailure, UnsuitableOutput)):
            self.onError(error)
        else:
            self.attempt(self._wholeJob)  # the whole volume is what counts, and tells what is wrong with it

    def compareIfWanted(self):
        """Measure the error of the last result where a real T2 was chosen after it; the network does not run again."""
        if self._parameterNode is None or self.worker.talk.is_busy or not result_nodes.wantsComparison(self._parameterNode):
            return
        chosen = self._parameterNode
        self._inputOfJob, self._referenceOfJob = chosen.inputVolume, chosen.referenceVolume
        self._maskOfJob, self._regionOfJob = (  # which the image was made with
            chosen.syntheticVolume.GetNodeReference(role) for role in ("T1T2.Mask", "T1T2.Region")
        )
        self.attempt(self.startComparison)

    def startComparison(self):
        chosen = self._parameterNode
        volumes = self.logic.volumes(chosen.inputVolume, chosen.referenceVolume, self._maskOfJob)
        translation = result_nodes.onGridOf(volumes["volume"], result_nodes.lastTranslation(chosen))
        region = result_nodes.lastRegion(chosen, volumes["volume"])
        arguments = volumes | {"translation": translation, "region": region}
        self.worker.compare(arguments, self.onProgress, self.onCompared, self.onError)

    def onProgress(self, fraction, message):
        self.ui.progressBar.setValue(round(100 * fraction))
        self.ui.progressBar.setFormat(f"%p%  {message}")

    def onDone(self, translation):
        self.take(translation, _("Done in {seconds:.1f} s on {device}.").format(**translation.provenance))

    def onCompared(self, translation):
        self.take(translation, _("Compared with the real image."))

    def take(self, translation, message):
        """Make nodes of a result and show them."""
        self._wholeJob = None  # it holds every voxel
        self.preview.remove()
        if not slicer.mrmlScene.IsNodePresent(self._inputOfJob):
            self.onError(UnsuitableVolume(_("The input volume was removed meanwhile; nothing was changed.")))
            return
        self.logic.showTranslation(translation, self._inputOfJob, self._referenceOfJob, self._maskOfJob, self._regionOfJob)
        self.showMessage(message)
        if self._parameterNode is not None:  # else a scene is just being added, and the panel will follow
            self.logic.showResults()
            self.update()
            self.compareIfWanted()  # a real T2 may have been chosen meanwhile

    def onError(self, error):
        self.preview.remove()
        self.showMessage(str(error), isError=not isinstance(error, Cancelled))

    def showMessage(self, text, isError=False):
        self.ui.messageLabel.setText(text)
        self.ui.messageLabel.setStyleSheet("color: #e0564a; font-weight: bold" if isError else "")
        if self._parameterNode is not None:
            self.update()

    def updateResults(self, report):
        self.ui.resultsCollapsibleButton.setVisible(bool(report))
        if report:
            self.ui.resultsCollapsibleButton.setText(self.resultsTitle(report))
        if report == self._shownReport:
            return
        self._shownReport = report
        notes = layers.notes_as_html(report) if report else ""
        self.ui.reportLabel.setText(notes)
        self.ui.reportLabel.setVisible(bool(notes))

    def resultsTitle(self, report):
        made, chosen = self._parameterNode.syntheticVolume, self._parameterNode.inputVolume
        source = made.GetNodeReference("T1T2.Input")
        name = made.GetName() if source is None else source.GetName()
        return panel.results_title(_, name, report["model"], source is not None and source is chosen)


class T1T2TranslationLogic(base.ScriptedLoadableModuleLogic):
    """Reads nodes, has them translated, makes nodes of the result; needs no GUI."""

    def __init__(self, parent=None):
        base.ScriptedLoadableModuleLogic.__init__(self, parent)
        self.display = Display()

    def getParameterNode(self):
        return T1T2TranslationParameterNode(super().getParameterNode())

    def process(self, inputVolume, referenceVolume=None, maskNode=None, regionNode=None, **options):
        """Translate in this process; returns the synthetic volume's node, the other results are in the parameter node.

        options: model, device, accept_any_input, progress of `T1T2TranslationLib.inference.translate`.
        Raises T1T2Error with a sentence for people; the scene is then as it was.
        """
        compute, given = requirements.load_translate(), (inputVolume, referenceVolume, maskNode, regionNode)
        return self.showTranslation(compute(**self.volumes(*given), **options), *given)

    def volumes(self, inputVolume, referenceVolume=None, maskNode=None, regionNode=None):
        """What `inference.translate` takes of these nodes, see `nodes.volumesOf`."""
        return nodes.volumesOf(inputVolume, referenceVolume, maskNode, regionNode)

    def showTranslation(self, translation, inputVolume, referenceVolume=None, maskNode=None, regionNode=None):
        """Make or update this input's output nodes and let the panel show them; returns the synthetic volume's node."""
        made = result_nodes.store(translation, inputVolume, referenceVolume, maskNode, regionNode)
        result_nodes.choose(self.getParameterNode(), made)
        return made["synthetic"]

    def report(self, synthetic):
        """What is known of the last results, see `result_nodes.report`."""
        return result_nodes.report(synthetic)

    def showResults(self):
        """Show the last results in all slice views, with the true error where it is known, else the predicted one."""
        parameters = self.getParameterNode()
        parameters.overlay = layers.first_overlay(self.report(parameters.syntheticVolume))
        self.display.takeViews(parameters)
