"""A real T2 chosen before, during or after a translation: the true error comes without running the network again."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from Module.conftest import section
from T1T2TranslationLib import requirements, samples

pytestmark = pytest.mark.skipif(requirements.torch_version() is None, reason="The worker needs PyTorch.")


@pytest.fixture
def translated(ready, head):
    """The panel after a translation without a real T2, made without a network."""
    ready._inputOfJob = head
    ready.onDone(samples.phantom_translation(ready.logic.volumes(head)["volume"]))
    return ready


@pytest.fixture
def real_t2(slicer_host):
    t2 = samples.phantom("T2")
    return slicer.util.addVolumeFromArray(t2.array.transpose(2, 1, 0), t2.affine, "Real")


def finish(host, panel):
    host.wait_until(lambda: not panel.worker.talk.is_busy, 120)


def test_the_true_error_comes_as_soon_as_a_real_t2_is_chosen(slicer_host, translated, real_t2):
    synthetic = slicer.util.arrayFromVolume(translated._parameterNode.syntheticVolume).copy()
    predicted = translated._parameterNode.predictedErrorVolume
    view = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    assert view.GetForegroundVolumeID() == predicted.GetID()
    translated.ui.referenceSelector.setCurrentNode(real_t2)
    assert translated.worker.talk.is_busy
    finish(slicer_host, translated)
    chosen = translated._parameterNode
    assert "Compared" in translated.ui.messageLabel.text
    assert section(translated, "ViewingSection").ui.overlaySelector.currentText == "True error"
    assert view.GetForegroundVolumeID() == chosen.absoluteErrorVolume.GetID()
    real = slicer.util.arrayFromVolume(chosen.alignedReferenceVolume).astype(int)
    signed = slicer.util.arrayFromVolume(chosen.signedErrorVolume)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(chosen.syntheticVolume), synthetic)
    np.testing.assert_array_equal(signed, synthetic - real)  # the same grid: seen everywhere
    assert "PSNR" in section(translated, "MeasuresSection").ui.metricsLabel.text
    assert section(translated, "ViewingSection").ui.matchCheckBox.enabled

    translated.ui.referenceSelector.setCurrentNode(None)
    assert view.GetForegroundVolumeID() == predicted.GetID()
    translated.ui.referenceSelector.setCurrentNode(real_t2)
    assert not translated.worker.talk.is_busy  # it is known already
    assert view.GetForegroundVolumeID() == chosen.absoluteErrorVolume.GetID()


def test_a_doubt_about_one_real_t2_is_not_told_of_the_next(slicer_host, translated, real_t2):
    wrong = samples.phantom("T1")
    wrong = slicer.util.addVolumeFromArray(wrong.array.transpose(2, 1, 0) * 2, wrong.affine, "Another T1")
    translated.ui.referenceSelector.setCurrentNode(wrong)
    finish(slicer_host, translated)
    assert "Another T1&#x27; does not look like a T2" in translated.ui.reportLabel.text
    translated.ui.referenceSelector.setCurrentNode(real_t2)
    finish(slicer_host, translated)
    assert "Another T1" not in translated.ui.reportLabel.text
    assert translated._parameterNode.syntheticVolume.GetNodeReference("T1T2.Reference") is real_t2


def test_the_true_error_is_measured_with_the_mask_of_the_result_and_not_with_one_chosen_since(
    slicer_host, translated, head, real_t2
):
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Brain")
    block = np.zeros(slicer.util.arrayFromVolume(head).shape, np.uint8)
    block[20:40, 20:40, 15:35] = 1
    slicer.util.updateVolumeFromArray(labels, block)
    labels.CopyOrientation(head)
    translated._parameterNode.maskNode = labels
    translated.ui.referenceSelector.setCurrentNode(real_t2)
    finish(slicer_host, translated)
    error = slicer.util.arrayFromVolume(translated._parameterNode.absoluteErrorVolume)
    assert error[block == 0].any()
    assert translated._parameterNode.syntheticVolume.GetNodeReference("T1T2.Mask") is None


def test_a_translation_without_a_real_t2_takes_the_old_true_error_away(results, head):
    assert results._parameterNode.absoluteErrorVolume is not None
    results._referenceOfJob = None
    results.onDone(samples.phantom_translation(results.logic.volumes(head)["volume"]))
    chosen = results._parameterNode
    assert chosen.absoluteErrorVolume is None
    assert chosen.alignedReferenceVolume is None
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 3
    assert section(results, "ViewingSection").ui.overlaySelector.count == 1


def test_a_real_t2_that_cannot_be_compared_is_told_and_nothing_changes(slicer_host, translated, head):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    translated.ui.referenceSelector.setCurrentNode(empty)
    assert "'Empty' holds no voxels" in translated.ui.messageLabel.text
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert translated.ui.applyButton.enabled


def test_the_results_of_another_t1_are_not_compared(slicer_host, translated, real_t2, a_volume_node):
    translated.ui.inputSelector.setCurrentNode(a_volume_node)
    translated.ui.referenceSelector.setCurrentNode(real_t2)
    assert not translated.worker.talk.is_busy


def test_the_true_error_of_one_t1_is_not_taken_for_that_of_another(slicer_host, results, real_t2):
    first = results._parameterNode.alignedReferenceVolume
    phantom = samples.phantom()
    other = slicer.util.addVolumeFromArray(phantom.array.transpose(2, 1, 0), phantom.affine, "Other")
    results._parameterNode.inputVolume = results._inputOfJob = other
    results._referenceOfJob = None
    results.onDone(samples.phantom_translation(results.logic.volumes(other)["volume"]))
    chosen = results._parameterNode
    assert chosen.absoluteErrorVolume is None
    assert chosen.alignedReferenceVolume is None
    assert slicer.mrmlScene.IsNodePresent(first)  # it is still the first one's
    results.ui.referenceSelector.setCurrentNode(real_t2)
    finish(slicer_host, results)
    assert "Compared" in results.ui.messageLabel.text
    assert chosen.alignedReferenceVolume.GetNodeReference("T1T2.Input") is other
