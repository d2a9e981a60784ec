"""A coarse preview comes first and the full result takes its place; whatever goes wrong, the preview leaves nothing behind."""

from __future__ import annotations

import time

import numpy as np
import pytest
import slicer
from T1T2TranslationLib import catalog, samples
from T1T2TranslationLib.errors import UnsuitableOutput

pytestmark = pytest.mark.skipif(
    not any(card.usable and card.name == "t1_to_t2" for card in catalog.list_models()), reason="The model t1_to_t2 is not here."
)


@pytest.fixture
def fine(panel, monkeypatch):
    """The panel with a T1 of thin slices, in the views, and a preview for volumes of any size."""
    monkeypatch.setattr("T1T2TranslationLib.coarsening._LEAST_VOXELS", 1000)
    head = samples.phantom(spacing_mm=(4.0, 4.0, 1.2))
    node = slicer.util.addVolumeFromArray(head.array.transpose(2, 1, 0), head.affine, "Head")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    panel._parameterNode.inputVolume = node
    panel._parameterNode.device = "cpu"
    return panel


def shown():
    view = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    return slicer.mrmlScene.GetNodeByID(view.GetBackgroundVolumeID())


def until_previewed(host, panel):
    host.wait_until(lambda: shown().GetName().endswith("preview") or not panel.worker.talk.is_busy, 120)


def names() -> list[str]:
    return [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]


def test_a_coarse_preview_comes_first_and_the_full_result_takes_its_place(slicer_host, fine):
    head = fine._parameterNode.inputVolume
    fine.ui.applyButton.click()
    until_previewed(slicer_host, fine)
    preview = shown()
    assert preview.GetName() == "Head SYNTHETIC T2 preview"
    assert preview.GetAttribute("T1T2.Synthetic")
    planes = slicer.util.arrayFromVolume(head).shape[0]
    assert slicer.util.arrayFromVolume(preview).shape[0] == -(-planes // 4)
    assert preview.GetSpacing()[2] == pytest.approx(4.8)
    np.testing.assert_allclose(preview.GetOrigin(), head.GetOrigin(), atol=1e-6)
    assert "preview" in fine.ui.messageLabel.text
    slicer_host.wait_until(lambda: not fine.worker.talk.is_busy, 120)
    assert shown() is fine._parameterNode.syntheticVolume
    assert names() == ["Head", "Head SYNTHETIC T2", "Head SYNTHETIC T2 predicted error"]


def test_a_cancelled_job_takes_its_preview_away(slicer_host, fine):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    fine.ui.applyButton.click()
    until_previewed(slicer_host, fine)
    start = time.monotonic()
    fine.ui.cancelButton.click()
    slicer_host.wait_until(lambda: not fine.worker.talk.is_busy, 5)
    assert time.monotonic() - start < 1.5
    assert "Cancelled" in fine.ui.messageLabel.text
    assert shown() is fine._parameterNode.inputVolume
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_a_refused_preview_leaves_the_last_word_to_the_whole_volume(slicer_host, fine):
    slicer.util.arrayFromVolume(fine._parameterNode.inputVolume)[:] -= 1000  # air of a CT
    fine.ui.applyButton.click()
    slicer_host.wait_until(lambda: not fine.worker.talk.is_busy, 120)
    assert "CT" in fine.ui.messageLabel.text
    assert names() == ["Head"]


def test_a_preview_for_which_there_is_no_room_on_the_disk_is_told_and_nothing_goes_on(fine):
    fine.onPreviewFailed(UnsuitableOutput("The temporary file cannot be written.", "Free some space on that disk."))
    assert "Free some space" in fine.ui.messageLabel.text
    assert not fine.worker.talk.is_busy


def test_closing_the_scene_under_a_preview_leaves_an_empty_scene(slicer_host, fine):
    fine.ui.applyButton.click()
    until_previewed(slicer_host, fine)
    slicer.mrmlScene.Clear()
    slicer_host.process_events(300)
    assert names() == []


def test_the_worker_is_started_before_apply_once_a_t1_is_chosen(slicer_host, module):
    module.WARM_UP_AFTER_MS = 20
    panel = slicer_host.open_panel(module)
    slicer_host.process_events(100)
    assert not panel.worker.is_running  # nothing to translate
    head = samples.phantom()
    slicer.util.addVolumeFromArray(head.array.transpose(2, 1, 0), head.affine, "Head")
    panel._parameterNode.inputVolume = slicer.util.getNode("Head")
    slicer_host.wait_until(lambda: panel.worker.is_running, 10)
    assert not panel.worker.talk.is_busy
