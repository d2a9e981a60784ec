"""The box "Match brightness to the reference": the window changes and comes back, the voxels never change."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
from Module.conftest import section
from T1T2TranslationLib import samples


def measured(panel, gain: float, offset: float) -> None:
    """Let the comparison of the last result say this gain and offset."""
    synthetic = panel._parameterNode.syntheticVolume
    report = json.loads(synthetic.GetAttribute("T1T2.Provenance"))
    report["metrics"]["brain"] |= {"gain": gain, "offset": offset}
    synthetic.SetAttribute("T1T2.Provenance", json.dumps(report))
    panel.update()


def window(node) -> tuple[float, float]:
    """Black and white of a volume."""
    display = node.GetVolumeDisplayNode()
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def mark(viewing) -> str:
    return viewing.marks._texts["Red"].GetInput()


def test_the_box_sets_the_fitted_window_and_gives_the_old_one_back_and_no_voxel_changes(viewing, results):
    chosen = results._parameterNode
    measured(results, 1.25, 0.04)
    volumes = (chosen.syntheticVolume, chosen.absoluteErrorVolume, chosen.alignedReferenceVolume)
    before = [slicer.util.arrayFromVolume(node).copy() for node in volumes]
    chosen.syntheticVolume.GetVolumeDisplayNode().SetWindowLevelMinMax(100, 1100)  # a window that the user chose
    viewing.ui.matchCheckBox.click()
    assert window(chosen.syntheticVolume) == pytest.approx(((100 - 40) / 1.25, (1100 - 40) / 1.25))
    assert window(chosen.alignedReferenceVolume) == (0, 1200)
    assert mark(viewing) == "SYNTHETIC, brightness matched"
    for node, voxels in zip(volumes, before, strict=True):
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), voxels)
    viewing.ui.matchCheckBox.click()
    assert window(chosen.syntheticVolume) == pytest.approx((100, 1100))
    assert mark(viewing) == "SYNTHETIC"


def test_another_comparison_is_matched_by_its_own_numbers_and_none_brings_the_old_window_back(viewing, results, head):
    chosen = results._parameterNode
    measured(results, 1.25, 0.04)
    viewing.ui.matchCheckBox.click()
    measured(results, 2.0, 0.1)
    assert window(chosen.syntheticVolume) == pytest.approx((-50, 550))
    results._referenceOfJob = None
    results.onDone(samples.phantom_translation(results.logic.volumes(head)["volume"]))
    assert window(chosen.syntheticVolume) == pytest.approx((0, 1200))
    assert not viewing.ui.matchCheckBox.checked
    assert mark(viewing) == "SYNTHETIC"


def test_a_result_found_again_is_still_matched(viewing, results, head):
    chosen = results._parameterNode
    measured(results, 1.25, 0.04)
    viewing.ui.matchCheckBox.click()
    first = chosen.syntheticVolume
    phantom = samples.phantom()
    other = slicer.util.addVolumeFromArray(phantom.array.transpose(2, 1, 0), phantom.affine, "Other")
    results.ui.inputSelector.setCurrentNode(other)
    results._inputOfJob, results._referenceOfJob = other, None
    results.onDone(samples.phantom_translation(results.logic.volumes(other)["volume"]))
    assert not viewing.ui.matchCheckBox.checked
    assert window(chosen.syntheticVolume) == (0, 1200)
    results.ui.inputSelector.setCurrentNode(head)
    assert chosen.syntheticVolume is first
    assert viewing.ui.matchCheckBox.checked
    viewing.ui.matchCheckBox.click()
    assert window(first) == pytest.approx((0, 1200))


def test_without_a_real_t2_the_box_is_disabled_and_says_why(ready, head):
    ready._inputOfJob = head
    ready.onDone(samples.phantom_translation(ready.logic.volumes(head)["volume"]))
    box = section(ready, "ViewingSection").ui.matchCheckBox
    assert not box.enabled
    assert "choose one under Inputs" in box.toolTip


def test_a_gain_that_turns_the_contrast_over_cannot_be_matched(viewing, results):
    measured(results, -0.5, 0.9)
    assert not viewing.ui.matchCheckBox.enabled
    assert "gain -0.50" in viewing.ui.matchCheckBox.toolTip
    measured(results, 1.25, 0.04)
    assert viewing.ui.matchCheckBox.enabled
    assert "least-squares" in viewing.ui.matchCheckBox.toolTip
