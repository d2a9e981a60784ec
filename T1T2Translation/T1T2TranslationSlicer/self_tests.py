"""The module's self-tests, which run in any Slicer: "Reload and Test", Self Tests, ctest."""

import time
import unittest

import numpy as np
import qt
import slicer
from slicer import ScriptedLoadableModule as base
from T1T2TranslationLib import catalog, requirements, samples
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.lens import RAMP, SMOOTHING_MM
from T1T2TranslationLib.smoothing import smoothed
from T1T2TranslationLib.worker_process import WorkerProcess

from . import charts, compare_layout, nodes
from .marks import SyntheticMarks


class T1T2TranslationTest(base.ScriptedLoadableModuleTest):
    """Runs in any Slicer; what computes is skipped, visibly, where PyTorch or the model is missing."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        from T1T2Translation import T1T2TranslationLogic  # which imports this file

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
        np.testing.assert_array_equal(nodes.asVolume(synthetic, inWorld=False).affine, volume.affine)
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

    def test_a_box_in_the_scene_is_a_region_of_interest(self):
        box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
        box.SetCenter(0, 0, 0)
        box.SetSize(61, 31, 91)
        turned = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        turn = np.array([[0.0, -1, 0, 20], [1, 0, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1]])  # a quarter turn, then a shift
        turned.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(turn))
        box.SetAndObserveTransformNodeID(turned.GetID())
        region = self.logic.volumes(self.head, None, None, box)["region"]
        assert region.name == "Box"
        affine = region.affine
        places = np.indices(region.shape).transpose(1, 2, 3, 0) @ affine[:3, :3].T + affine[:3, 3]
        inside = (np.abs(places - (20, -10, 5)) < (31 / 2, 61 / 2, 91 / 2)).all(axis=-1)
        np.testing.assert_array_equal(region.array, inside)

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

    # ---- what a reader sees, where there is a main window

    def translated(self):
        """The parameter node after a translation with a real T2, without a network."""
        volume = self.logic.volumes(self.head)["volume"]
        self.logic.showTranslation(samples.phantom_translation(volume, with_reference=True), self.head)
        if slicer.app.layoutManager() is None:
            self.skipTest("Slicer runs without a main window")
        self.logic.showResults()
        return self.logic.getParameterNode()

    def view(self, name):
        return slicer.app.layoutManager().sliceWidget(name)

    def test_the_compare_layout_comes_links_nine_views_and_goes(self):
        parameters = self.translated()
        before = compare_layout.current()
        compare_layout.show(parameters)
        self.logic.display.takeViews(parameters)
        slicer.app.processEvents()
        backgrounds = {"T1": self.head, "Synthetic": parameters.syntheticVolume, "Reference": parameters.alignedReferenceVolume}
        for name, column in compare_layout.VIEWS.items():
            composite = self.view(name).mrmlSliceCompositeNode()
            assert composite.GetBackgroundVolumeID() == backgrounds[column].GetID(), name
            assert composite.GetLinkedControl(), name
            assert self.view(name).mrmlSliceNode().GetViewGroup() == compare_layout.VIEW_GROUP, name
        assert [self.view(f"T1T2T1{plane}").mrmlSliceNode().GetOrientation() for plane in compare_layout.PLANES] == list(
            compare_layout.PLANES
        )
        compare_layout.hide(parameters)
        assert compare_layout.current() == before

    def test_all_views_jump_to_a_point(self):
        self.translated()
        compare_layout.jump((3.0, -4.0, 5.0))
        axes = {"Yellow": 0, "Green": 1, "Red": 2}
        found = [self.view(name).mrmlSliceNode().GetSliceToRAS().GetElement(axis, 3) for name, axis in axes.items()]
        np.testing.assert_allclose(found, (3, -4, 5), atol=1e-3)

    def test_the_trust_lens_takes_the_place_of_the_synthetic_volume_and_gives_it_back(self):
        parameters = self.translated()
        parameters.lensStrength, parameters.errorThreshold = 1.0, 130
        self.logic.display.refresh(parameters)
        red = self.view("Red").mrmlSliceCompositeNode()
        assert red.GetBackgroundVolumeID() == parameters.lensVolume.GetID()
        redLevel, blueLevel = (slicer.util.arrayFromVolume(parameters.lensVolume)[..., channel] for channel in (0, 2))
        error = smoothed(nodes.asVolume(parameters.absoluteErrorVolume, inWorld=False), SMOOTHING_MM).array.transpose(2, 1, 0)
        inside = slicer.util.arrayFromVolume(self.head) > 100
        trusted, doubted = inside & (error < 130), inside & (error > 130 + RAMP)
        assert trusted.any()
        assert doubted.any()
        np.testing.assert_array_equal(redLevel[trusted], blueLevel[trusted])  # synthetic: grey
        assert (redLevel < blueLevel)[doubted].all()  # the scan
        parameters.lensStrength = 0.0
        self.logic.display.refresh(parameters)
        assert red.GetBackgroundVolumeID() == parameters.syntheticVolume.GetID()

    def test_threshold_and_legend_of_the_error_map_agree(self):
        parameters = self.translated()
        parameters.errorThreshold = 250
        self.logic.display.refresh(parameters)
        error = parameters.absoluteErrorVolume
        assert error.GetVolumeDisplayNode().GetLowerThreshold() == 250
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(error)
        assert "250 (25 %)" in legend.GetTitleText()

    def test_synthetic_is_written_into_the_views_that_show_it(self):
        self.translated()
        marks = SyntheticMarks()
        self.addCleanup(marks.close)
        marks.follow()
        assert marks.isShown("Red")
        slicer.util.setSliceViewerLayers(background=self.head, foreground=None)
        assert not marks.isShown("Red")

    def test_every_chart_is_drawn_from_the_results(self):
        parameters = self.translated()
        for name in charts.CHARTS:
            chart = charts.show(name, parameters)
            assert chart.GetNumberOfPlotSeriesNodes() >= 1, name
            assert chart.GetNthPlotSeriesNode(0).GetTableNode().GetNumberOfRows() > 1, name
        slicer.app.processEvents()
        assert charts.slicePoint(parameters, 5) is not None
        listener = charts.listen(lambda row: None)
        assert listener is not None
        listener.close()
        compare_layout.hide(parameters)
