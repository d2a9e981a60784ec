"""The panel in 3D Slicer: nodes in, nodes out; whatever needs no Slicer is decided in T1T2TranslationLib."""

import json
import os
import time
import unittest
from typing import Annotated

import numpy as np
import qt
import slicer
import vtk
from slicer import ScriptedLoadableModule as base
from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.util import TESTING_DATA_URL, VTKObservationMixin
from T1T2TranslationLib import catalog, layers, panel, requirements, samples
from T1T2TranslationLib.errors import Cancelled, T1T2Error, UnsuitableVolume
from T1T2TranslationLib.translation import DISCLAIMER
from T1T2TranslationLib.volume import Volume
from T1T2TranslationLib.worker_process import WorkerProcess


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


def registerSampleData():
    import SampleData

    icon = os.path.join(os.path.dirname(__file__), "Resources", "Icons", "T1T2Translation.png")
    for source in samples.sources(TESTING_DATA_URL):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(category="T1T2Translation", thumbnailFileName=icon, **source)


@parameterNodeWrapper
class T1T2TranslationParameterNode:
    """The panel's choices, and the nodes that the last translation made."""

    inputVolume: vtkMRMLScalarVolumeNode
    referenceVolume: vtkMRMLScalarVolumeNode
    maskNode: vtkMRMLNode  # a segmentation or a label map
    model: str = "t1_to_t2"
    device: Annotated[str, Choice(["auto", "cpu", "cuda", "mps"])] = "auto"
    acceptAnyInput: bool = False
    overlayOpacity: Annotated[float, WithinRange(0, 1)] = 0.5
    syntheticVolume: vtkMRMLScalarVolumeNode
    predictedErrorVolume: vtkMRMLScalarVolumeNode
    absoluteErrorVolume: vtkMRMLScalarVolumeNode
    signedErrorVolume: vtkMRMLScalarVolumeNode
    alignedReferenceVolume: vtkMRMLScalarVolumeNode


class T1T2TranslationWidget(base.ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Asks and shows; what it asks for is done by the logic and the worker process."""

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)
        self._parameterNode = self._guiTag = self._inputOfJob = self._shownReport = None
        base.ScriptedLoadableModuleWidget.__init__(self, parent)  # last: without a parent it calls setup

    def setup(self):
        base.ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/T1T2Translation.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = T1T2TranslationLogic()
        self.worker = WorkerProcess(qt, slicer.app.temporaryPath)
        self.ui.disclaimerLabel.setText(DISCLAIMER)
        for card in filter(lambda card: card.usable, catalog.list_models()):
            self.ui.modelSelector.addItem(card.title, card.name)
        self.ui.installButton.connect("clicked()", self.onInstall)
        self.ui.applyButton.connect("clicked()", self.onApply)
        self.ui.cancelButton.connect("clicked()", self.worker.cancel)
        self.ui.maskSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onMaskChosen)
        self.ui.modelSelector.connect("currentIndexChanged(int)", self.onModelChosen)
        self.ui.overlaySelector.connect("activated(int)", self.showOverlay)
        self.ui.opacitySlider.connect("valueChanged(double)", self.logic.setOverlayOpacity)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.StartImportEvent, lambda caller, event: self.unbind())
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
        widgets = {name: widget for widget in vars(self.ui).values() if (name := widget.property("SlicerParameterName"))}
        self._guiTag = self._parameterNode.connectParametersToGui(widgets)  # connectGui does not tell the tag
        self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)

    def unbind(self):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)
            self._parameterNode = None

    def cleanup(self):
        self.worker.close()
        self.unbind()
        self.removeObservers()

    def onSceneStartClose(self, caller, event):
        self.worker.talk.drop()
        self.unbind()
        self.showMessage("")

    def onSceneEndBatch(self, caller, event):
        if self._parameterNode is None:
            self.enter()

    def onMaskChosen(self, node):
        if self._parameterNode is not None:
            self._parameterNode.maskNode = node

    def onModelChosen(self, index):
        if self._parameterNode is not None and index >= 0:
            self._parameterNode.model = self.ui.modelSelector.itemData(index)

    def update(self, caller=None, event=None):
        """Show what is chosen, what is missing, whether a job runs, and the last results."""
        self.ui.maskSelector.setCurrentNode(self._parameterNode.maskNode)
        self.ui.modelSelector.setCurrentIndex(self.ui.modelSelector.findData(self._parameterNode.model))
        torchVersion, hasInstaller = requirements.torch_version(), hasattr(slicer.modules, "pytorchutils")
        self.ui.setupLabel.setText(panel.setup_line(_, torchVersion, hasInstaller))
        self.ui.installButton.setVisible(hasInstaller and not torchVersion)
        isBusy, hasInput = self.worker.talk.is_busy, self._parameterNode.inputVolume is not None
        missingModel = "" if self.ui.modelSelector.currentIndex >= 0 else self._parameterNode.model
        reason = panel.reason_not_to_apply(_, bool(torchVersion), isBusy, missingModel, hasInput)
        self.ui.applyButton.setEnabled(not reason)
        self.ui.applyButton.setToolTip(reason or _("Translate the T1 volume."))
        self.ui.progressBar.setVisible(isBusy)
        self.ui.cancelButton.setVisible(isBusy)
        self.ui.messageLabel.setVisible(bool(self.ui.messageLabel.text))
        self.updateResults(self.logic.report(self._parameterNode.syntheticVolume))

    def onInstall(self):
        import PyTorchUtils

        with slicer.util.tryWithErrorDisplay(_("PyTorch could not be installed."), waitCursor=True):
            PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True)
        self.update()

    def onApply(self):
        chosen = self._parameterNode
        self._inputOfJob = chosen.inputVolume
        try:
            arguments = self.logic.volumes(chosen.inputVolume, chosen.referenceVolume, chosen.maskNode)
            arguments.update(model=chosen.model, device=chosen.device, accept_any_input=chosen.acceptAnyInput)
            self.onProgress(0.0, _("Starting"))
            self.showMessage("")
            self.worker.translate(arguments, self.onProgress, self.onDone, self.onError)
        except T1T2Error as error:
            self.onError(error)
        else:
            self.update()

    def onProgress(self, fraction, message):
        self.ui.progressBar.setValue(round(100 * fraction))
        self.ui.progressBar.setFormat(f"%p%  {message}")

    def onDone(self, translation):
        if not slicer.mrmlScene.IsNodePresent(self._inputOfJob):
            self.onError(UnsuitableVolume(_("The T1 volume was removed meanwhile; nothing was changed.")))
            return
        self.logic.showTranslation(translation, self._inputOfJob)
        self.showMessage(_("Done in {seconds} s on {device}.").format(**translation.provenance))
        if self._parameterNode is not None:  # else a scene is just being added, and the panel will follow
            self.showOverlay()

    def onError(self, error):
        self.showMessage(str(error), isError=not isinstance(error, Cancelled))

    def showMessage(self, text, isError=False):
        self.ui.messageLabel.setText(text)
        self.ui.messageLabel.setStyleSheet("color: #c0392b" if isError else "")
        if self._parameterNode is not None:
            self.update()

    def updateResults(self, report):
        self.ui.resultsCollapsibleButton.setVisible(bool(report))
        if report == self._shownReport:
            return
        self._shownReport = report
        self.ui.overlaySelector.clear()
        for key, title in report.get("overlays", {}).items():
            self.ui.overlaySelector.addItem(title, key)
        self.ui.overlaySelector.setCurrentIndex(1 if report.get("metrics") else 0)  # the true error where it is known
        self.ui.reportLabel.setText(layers.as_html(report) if report else "")

    def showOverlay(self):
        self.logic.showOverlay(self.ui.overlaySelector.currentData, self._parameterNode.overlayOpacity)


class T1T2TranslationLogic(base.ScriptedLoadableModuleLogic):
    """Reads nodes, has them translated, makes nodes of the result; needs no GUI."""

    def getParameterNode(self):
        return T1T2TranslationParameterNode(super().getParameterNode())

    def process(self, inputVolume, referenceVolume=None, maskNode=None, **options):
        """Translate in this process; returns the synthetic volume's node, the other results are in the parameter node.

        options: model, device, accept_any_input, progress of `T1T2TranslationLib.inference.translate`.
        Raises T1T2Error with a sentence for people; the scene is then as it was.
        """
        compute = requirements.load_translate()
        translation = compute(**self.volumes(inputVolume, referenceVolume, maskNode), **options)
        return self.showTranslation(translation, inputVolume)

    def volumes(self, inputVolume, referenceVolume=None, maskNode=None):
        """What `inference.translate` takes of these nodes: volume, reference and mask; raises UnsuitableVolume."""
        for node in (inputVolume, referenceVolume):
            if node is not None:
                _refuseUnsuitable(node)
        if referenceVolume is inputVolume:
            raise UnsuitableVolume(_("The real T2 is the T1 volume itself."), _("Choose another volume, or none."))
        # Nodes under one and the same transform are compared where they lie, those under different ones in the world.
        isSegmentation = maskNode is not None and maskNode.GetClassName() == "vtkMRMLSegmentationNode"
        others = [node for node in (referenceVolume, None if isSegmentation else maskNode) if node is not None]
        inWorld = any(node.GetTransformNodeID() != inputVolume.GetTransformNodeID() for node in others)
        volume = _asVolume(inputVolume, inWorld)
        if isSegmentation:
            mask = volume.with_array(_segmented(maskNode, inputVolume), maskNode.GetName())
        else:
            mask = maskNode and _asVolume(maskNode, inWorld)
        return {"volume": volume, "mask": mask, "reference": referenceVolume and _asVolume(referenceVolume, inWorld)}

    def showTranslation(self, translation, inputVolume):
        """Make or update this input's output nodes, and nobody else's; returns the synthetic volume's node."""
        parameters = self.getParameterNode()
        report = layers.summarize(translation)
        with slicer.util.NodeModify(parameters):
            for layer in layers.layers_of(translation):
                node = parameters.getValue(f"{layer.key}Volume")
                if node is None or node.GetNodeReference("T1T2.Input") is not inputVolume:
                    node = _newOutput(layer, inputVolume)
                    parameters.setValue(f"{layer.key}Volume", node)
                _fill(node, layer.volume, inputVolume)
                node.SetAttribute("T1T2.Model", translation.provenance["model"])
                node.SetAttribute("T1T2.Sha256", translation.provenance["weights_sha256"])
                node.SetAttribute("T1T2.Provenance", report)
        return parameters.syntheticVolume

    def report(self, synthetic):
        """What is known of the last results, see `layers.summarize`; empty without any."""
        return {} if synthetic is None else json.loads(synthetic.GetAttribute("T1T2.Provenance") or "{}")

    def showOverlay(self, key, opacity):
        """Lay an error map, one of the report's "overlays", over the synthetic volume in all slice views, with its legend."""
        parameters = self.getParameterNode()
        synthetic = parameters.syntheticVolume
        for name, title in self.report(synthetic)["overlays"].items():
            node = parameters.getValue(f"{name}Volume")
            if node is not None:
                legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(node)
                legend.SetTitleText(title)
                legend.SetLabelFormat("%.0f")
                legend.SetVisibility(name == key)
        shown = {view.GetBackgroundVolumeID() for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
        slicer.util.setSliceViewerLayers(
            background=synthetic,
            foreground=parameters.getValue(f"{key}Volume"),
            foregroundOpacity=opacity,
            fit=not shown <= {synthetic.GetID(), synthetic.GetNodeReferenceID("T1T2.Input")},
        )

    def setOverlayOpacity(self, opacity):
        """For the slice views that show one of our error maps."""
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            node = slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID() or "")
            if node is not None and node.GetAttribute("T1T2.Provenance"):
                view.SetForegroundOpacity(opacity)


def _refuseUnsuitable(node):
    hasVoxels = node.GetImageData() is not None and node.GetImageData().GetNumberOfPoints() > 0
    isSynthetic = node.GetAttribute("T1T2.Synthetic") is not None
    isFrame = any(browser.GetSequenceNode(node) for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"))
    reason = panel.refusal(_, node.GetName(), node.GetNodeTagName(), hasVoxels, isSynthetic, isFrame)
    if reason:
        raise UnsuitableVolume(reason, _("Choose another volume."))


def _asVolume(node, inWorld):
    """The voxels of a node as (i, j, k) and where they lie: in the node's own space, or in the world."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    affine = slicer.util.arrayFromVTKMatrix(matrix)
    transform = node.GetParentTransformNode()
    if inWorld and transform is not None:
        if not transform.IsTransformToWorldLinear():
            what = _("'{name}' lies under a transform that is not linear.").format(name=node.GetName())
            raise UnsuitableVolume(what, _("Harden the transform in the module Data, and try again."))
        transform.GetMatrixTransformToWorld(matrix)
        affine = slicer.util.arrayFromVTKMatrix(matrix) @ affine
    return Volume(slicer.util.arrayFromVolume(node).transpose(2, 1, 0), affine, node.GetName())


def _segmented(segmentation, volumeNode):
    """Where any segment is, (i, j, k) uint8 on the volume's grid."""
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "__temp__")
    temporary = [labels]
    try:
        segmentIds = segmentation.GetSegmentation().GetSegmentIDs()
        logic = slicer.modules.segmentations.logic()
        if not segmentIds or not logic.ExportSegmentsToLabelmapNode(segmentation, segmentIds, labels, volumeNode):
            what = _("The segments of '{name}' cannot be laid over the T1 volume.").format(name=segmentation.GetName())
            raise UnsuitableVolume(what, _("Choose a segmentation of the brain."))
        temporary += [labels.GetDisplayNode().GetColorNode(), labels.GetDisplayNode()]  # made by the export
        return (slicer.util.arrayFromVolume(labels) > 0).astype(np.uint8).transpose(2, 1, 0)
    finally:
        for node in temporary:
            slicer.mrmlScene.RemoveNode(node)


def _newOutput(layer, inputVolume):
    """A node beside the input in the subject hierarchy, coloured and windowed for what it shows."""
    name = slicer.mrmlScene.GenerateUniqueName(layer.volume.name)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetNodeReferenceID("T1T2.Input", inputVolume.GetID())
    node.SetAttribute("T1T2.Synthetic", None if layer.key == "alignedReference" else "1")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    inputItem = hierarchy.GetItemByDataNode(inputVolume)
    if inputItem:
        hierarchy.CreateItem(hierarchy.GetItemParent(inputItem), node)  # or moves the item that Slicer made by itself
    node.CreateDefaultDisplayNodes()
    display = node.GetVolumeDisplayNode()
    if layer.colors != "Grey":  # which it has by default
        display.SetAndObserveColorNodeID(f"vtkMRMLColorTableNodeFile{layer.colors}.txt")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*layer.window)
    if layer.hides_zero:
        display.SetThreshold(1, 32767)
        display.SetApplyThreshold(True)
    return node


def _fill(node, volume, inputVolume):
    """Voxels, exactly the input's geometry, and its parent transform."""
    slicer.util.updateVolumeFromArray(node, volume.array.transpose(2, 1, 0))
    matrix = vtk.vtkMatrix4x4()
    inputVolume.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveTransformNodeID(inputVolume.GetTransformNodeID())


class T1T2TranslationTest(base.ScriptedLoadableModuleTest):
    """Runs in any Slicer; what computes is skipped, visibly, where PyTorch or the model is missing."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.logic = T1T2TranslationLogic()
        head = samples.phantom()
        self.head = slicer.util.addVolumeFromArray(head.array.transpose(2, 1, 0), head.affine, "Head")

    def runTest(self):
        """Every test; one that is skipped says so."""
        result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(type(self)))
        assert result.wasSuccessful(), f"{len(result.errors + result.failures)} of {result.testsRun} tests failed"

    def test_outputs_lie_where_the_input_lies_and_a_second_run_updates_them(self):
        turned = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        self.head.SetAndObserveTransformNodeID(turned.GetID())
        volume = self.logic.volumes(self.head)["volume"]
        translation = samples.phantom_translation(volume, with_reference=True)
        synthetic = self.logic.showTranslation(translation, self.head)
        assert synthetic.GetName() == "Head SYNTHETIC T2"
        assert synthetic.GetTransformNodeID() == turned.GetID()
        np.testing.assert_array_equal(_asVolume(synthetic, inWorld=False).affine, volume.affine)
        count = slicer.mrmlScene.GetNumberOfNodes()
        assert self.logic.showTranslation(translation, self.head) is synthetic
        assert slicer.mrmlScene.GetNumberOfNodes() == count

    def test_outputs_lie_in_the_study_of_the_input(self):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
        hierarchy.CreateItem(study, self.head)
        volume = self.logic.volumes(self.head)["volume"]
        synthetic = self.logic.showTranslation(samples.phantom_translation(volume), self.head)
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(synthetic)) == study

    def test_what_cannot_be_translated_is_refused_in_one_sentence(self):
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        with self.assertRaisesRegex(UnsuitableVolume, "'Labels' is a LabelMapVolume"):  # noqa: PT027 - no pytest in Slicer
            self.logic.volumes(labels)

    def test_a_head_is_translated_here_and_in_the_worker_alike(self):
        if requirements.torch_version() is None or not any(card.name == "t1_to_t2" for card in catalog.list_models()):
            self.skipTest("PyTorch or the model t1_to_t2 is not installed")
        here = self.logic.process(self.head, device="cpu")
        worker, answers = WorkerProcess(qt, slicer.app.temporaryPath), []
        self.addCleanup(worker.close)
        arguments = self.logic.volumes(self.head) | {"model": "t1_to_t2", "device": "cpu"}
        worker.translate(arguments, lambda fraction, message: None, answers.append, answers.append)
        deadline = time.monotonic() + 120
        while not answers and time.monotonic() < deadline:
            slicer.app.processEvents()
        there = answers[0].synthetic.array.transpose(2, 1, 0)  # perhaps in another precision: both take the quicker one
        np.testing.assert_allclose(there, slicer.util.arrayFromVolume(here), atol=25)
