"""A user presses the real buttons of the real panel."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import slicer
from Module.conftest import section
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from T1T2TranslationLib import catalog, samples

needs_model = pytest.mark.skipif(
    not any(card.usable and card.name == "t1_to_t2" for card in catalog.list_models()), reason="The model t1_to_t2 is not here."
)


def finish(host, panel, timeout_s=120):
    host.wait_until(lambda: not panel.worker.talk.is_busy, timeout_s)


def job_folders(host) -> list[Path]:
    return list(Path(host.app.temporaryPath).glob("t1t2-*"))


def replace_worker(monkeypatch, tmp_path, code: str) -> None:
    """Let the panel start a worker of the test's own making."""
    script = tmp_path / "worker.sh"
    (tmp_path / "worker.py").write_text(code)
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "worker.py"}"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def press_down(combo_box) -> None:
    QTest.keyClick(combo_box._unwrap(), Qt.Key.Key_Down)


def press_up(combo_box) -> None:
    QTest.keyClick(combo_box._unwrap(), Qt.Key.Key_Up)


# ---- what it says before anything is done


def test_opening_the_panel_loads_no_torch(slicer_host, tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from Host import session\n"
        "host = session.host(); host.restart()\n"
        "host.open_panel(host.load_module(sys.argv[2] + '/T1T2Translation.py'))\n"
        "assert not host.failures, host.failures\n"
        "print('torch' in sys.modules, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    root = Path(__file__).resolve().parents[2]
    folders = [str(root / "Testing"), str(root / "T1T2Translation")]
    found = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True, timeout=120)
    assert found.stdout.split() == ["False"], found.stderr


def test_every_control_explains_itself(panel):
    parts = [panel, *panel.sections]
    widgets = {name: widget for part in parts for name, widget in vars(part.ui).items() if hasattr(widget, "toolTip")}
    assert len(widgets) > 30
    silent = [name for name, widget in widgets.items() if not widget.toolTip and widget.className() != "qMRMLWidget"]
    assert [name for name in silent if not name.startswith("qt_")] == []


def test_apply_says_what_is_missing(panel, head):
    panel._parameterNode.inputVolume = None
    assert not panel.ui.applyButton.enabled
    assert "Choose a volume" in panel.ui.applyButton.toolTip
    panel._parameterNode.inputVolume = head
    panel._parameterNode.model = "gone"
    assert "'gone' is not installed" in panel.ui.applyButton.toolTip
    assert not panel.ui.resultsCollapsibleButton.visible
    assert not panel.ui.progressBar.visible


def without_torch(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_without_pytorch_and_its_extension_the_panel_says_where_to_get_them(slicer_host, module, head, monkeypatch):
    without_torch(monkeypatch)
    panel = slicer_host.open_panel(module)
    assert "Extensions Manager" in panel.ui.setupLabel.text
    assert not panel.ui.installButton.visible
    assert not panel.ui.applyButton.enabled
    assert "PyTorch is missing" in panel.ui.applyButton.toolTip


def test_pytorch_is_installed_by_one_button(slicer_host, module, head, monkeypatch):
    calls = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False):
            calls.append(askConfirmation)
            monkeypatch.undo()

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic))
        slicer.modules.add("pytorchutils", object())
        without_torch(monkeypatch)
        panel = slicer_host.open_panel(module)
        assert panel.ui.installButton.visible
        assert "press the button" in panel.ui.setupLabel.text
        panel.ui.installButton.click()
        del vars(slicer.modules)["pytorchutils"]
    assert calls == [True]  # Slicer's extension asks, once
    assert "is installed" in panel.ui.setupLabel.text
    assert not panel.ui.installButton.visible


def test_it_survives_a_foreign_scene_without_a_main_window(no_main_window, module):
    no_main_window.use_foreign_scene()
    panel = no_main_window.open_panel(module)
    assert panel.ui.applyButton.toolTip


def test_the_first_volume_is_chosen_and_no_label_map(slicer_host, module, head):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    assert slicer_host.open_panel(module)._parameterNode.inputVolume is head


def test_the_mask_selector_offers_segmentations_and_label_maps_alone(panel, head):
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Brain")
    selector = panel.ui.maskSelector
    assert [selector.nodeFromIndex(index).GetName() for index in range(selector.nodeCount())] == ["Labels", "Brain"]
    selector.setCurrentNode(segmentation)
    assert panel._parameterNode.maskNode is segmentation
    panel._parameterNode.maskNode = labels
    assert selector.currentNode() is labels


def test_after_a_closed_scene_or_a_reload_old_parameters_and_the_panel_leave_each_other_alone(slicer_host, panel):
    old = panel._parameterNode
    slicer.mrmlScene.Clear()
    assert panel._parameterNode is not old
    calls = []
    old.setValue = lambda *arguments: calls.append(arguments)
    panel.ui.acceptAnyInputCheckBox.click()
    assert not calls
    assert panel._parameterNode.acceptAnyInput
    last = panel._parameterNode
    panel.cleanup()
    panel.ui.acceptAnyInputCheckBox.click()
    assert last.acceptAnyInput


def test_a_saved_scene_comes_back_with_its_choices_and_results(slicer_host, results, head, tmp_path):
    names = ("inputVolume", "maskNode", "syntheticVolume", "absoluteErrorVolume")
    results._parameterNode.maskNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Brain")
    results._parameterNode.device = "cpu"
    kept = [results._parameterNode.getValue(name).GetName() for name in names]
    path = str(tmp_path / "scene.mrml")
    slicer.mrmlScene.SetURL(path)
    slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear()
    assert results._parameterNode.syntheticVolume is None
    assert not results.ui.resultsCollapsibleButton.visible
    slicer.mrmlScene.SetURL(path)
    slicer.mrmlScene.Import()
    found = [results._parameterNode.getValue(name) for name in names]
    assert [node and node.GetName() for node in found] == kept
    assert results._parameterNode.device == "cpu"
    assert results.ui.maskSelector.currentNode() is found[1]
    assert section(results, "ViewingSection").ui.overlaySelector.count == 3


# ---- a translation


@needs_model
def test_apply_translates_in_the_worker_and_shows_the_result(slicer_host, ready, head):
    slicer.util.setSliceViewerLayers(background=head)
    ready.ui.applyButton.click()
    assert not ready.ui.applyButton.enabled
    assert "is running" in ready.ui.applyButton.toolTip
    assert ready.ui.progressBar.visible
    assert ready.ui.cancelButton.visible
    assert len(job_folders(slicer_host)) == 1
    finish(slicer_host, ready)
    synthetic, error = ready._parameterNode.syntheticVolume, ready._parameterNode.predictedErrorVolume
    assert synthetic.GetName() == "Head SYNTHETIC T2"
    assert "Done in" in ready.ui.messageLabel.text
    assert slicer.util.arrayFromVolume(synthetic).dtype == np.int16
    assert slicer.util.arrayFromVolume(synthetic).any()
    view = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    assert (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()) == (synthetic.GetID(), error.GetID())
    assert ready.ui.applyButton.enabled
    assert not ready.ui.progressBar.visible
    assert not job_folders(slicer_host)
    assert ready.ui.resultsCollapsibleButton.visible
    assert "not for diagnosis" in ready.ui.disclaimerLabel.text


@needs_model
def test_the_worker_stays_warm_and_a_second_apply_updates_the_outputs(slicer_host, ready):
    ready.ui.applyButton.click()
    finish(slicer_host, ready)
    worker, nodes = ready.worker.process_id, slicer.mrmlScene.GetNumberOfNodes()
    start = time.monotonic()
    ready.ui.applyButton.click()
    finish(slicer_host, ready)
    assert ready.worker.process_id == worker
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert time.monotonic() - start < 30


@needs_model
def test_with_a_real_t2_the_true_error_and_its_measures_are_shown(slicer_host, ready):
    t2 = samples.phantom("T2")
    ready._parameterNode.referenceVolume = slicer.util.addVolumeFromArray(t2.array.transpose(2, 1, 0), t2.affine, "Real")
    ready.ui.applyButton.click()
    finish(slicer_host, ready)
    assert section(ready, "ViewingSection").ui.overlaySelector.count == 3
    assert section(ready, "ViewingSection").ui.overlaySelector.currentText == "True error"
    assert "PSNR" in section(ready, "MeasuresSection").ui.metricsLabel.text
    view = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    assert view.GetForegroundVolumeID() == ready._parameterNode.absoluteErrorVolume.GetID()


@needs_model
def test_what_the_checks_refuse_is_told_in_the_panel_and_can_be_forced(slicer_host, ready, head):
    slicer.util.arrayFromVolume(head)[:] -= 1000  # air of a CT
    ready.ui.applyButton.click()
    finish(slicer_host, ready)
    assert "CT" in ready.ui.messageLabel.text
    assert "color" in ready.ui.messageLabel.styleSheet
    assert ready._parameterNode.syntheticVolume is None
    assert not slicer_host.user.messages
    ready.ui.acceptAnyInputCheckBox.click()
    ready.ui.applyButton.click()
    finish(slicer_host, ready)
    assert ready._parameterNode.syntheticVolume is not None
    assert ready.ui.messageLabel.styleSheet == ""


def test_an_empty_volume_is_refused_before_the_worker_is_asked(slicer_host, panel):
    panel._parameterNode.inputVolume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    panel.ui.applyButton.click()
    assert "'Empty' holds no voxels" in panel.ui.messageLabel.text
    assert not panel.worker.talk.is_busy


@needs_model
def test_cancel_answers_within_a_second_and_changes_nothing(slicer_host, ready):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    ready.ui.applyButton.click()
    slicer_host.process_events(200)
    start = time.monotonic()
    ready.ui.cancelButton.click()
    finish(slicer_host, ready, 1.5)
    assert time.monotonic() - start < 1
    assert "Cancelled" in ready.ui.messageLabel.text
    assert ready.ui.applyButton.enabled
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert not job_folders(slicer_host)


def test_a_worker_that_does_not_answer_a_cancellation_is_killed(slicer_host, ready, monkeypatch, tmp_path):
    replace_worker(monkeypatch, tmp_path, "import time; time.sleep(60)")
    ready.ui.applyButton.click()
    slicer_host.process_events(200)
    ready.ui.cancelButton.click()
    finish(slicer_host, ready, 1.5)
    assert "Cancelled" in ready.ui.messageLabel.text
    assert not ready.worker.is_running
    assert not job_folders(slicer_host)


@needs_model
def test_after_a_worker_was_lost_the_next_apply_starts_another(slicer_host, ready, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        code = "import sys; sys.stdin.readline(); print('garbage', flush=True); sys.exit('MemoryError: nothing left')"
        replace_worker(patch, tmp_path, code)
        ready.ui.applyButton.click()
        finish(slicer_host, ready)
    assert "ended unexpectedly (MemoryError: nothing left)" in ready.ui.messageLabel.text
    assert ready._parameterNode.syntheticVolume is None
    assert not job_folders(slicer_host)
    ready.ui.applyButton.click()
    finish(slicer_host, ready)
    assert "Done" in ready.ui.messageLabel.text


def test_a_worker_that_cannot_be_started_is_told(slicer_host, ready, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    ready.ui.applyButton.click()
    finish(slicer_host, ready)
    assert "ended unexpectedly" in ready.ui.messageLabel.text
    assert ready.ui.applyButton.enabled


def test_a_start_that_fails_at_once_is_told(ready, monkeypatch):
    import qt

    monkeypatch.setattr(ready.worker, "_start", lambda: setattr(ready.worker, "_process", qt.QProcess()))  # as on Windows
    ready.ui.applyButton.click()
    assert "ended unexpectedly" in ready.ui.messageLabel.text
    assert not ready.worker.talk.is_busy


@needs_model
def test_closing_the_scene_stops_the_job(slicer_host, ready):
    ready.ui.applyButton.click()
    slicer_host.process_events(100)
    slicer.mrmlScene.Clear()
    assert not ready.worker.talk.is_busy
    assert not job_folders(slicer_host)
    slicer_host.process_events(500)
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert ready.ui.messageLabel.text == ""
    assert "Choose a volume" in ready.ui.applyButton.toolTip


@needs_model
def test_the_result_of_a_removed_input_is_dropped(slicer_host, ready, head):
    ready.ui.applyButton.click()
    slicer.mrmlScene.RemoveNode(head)
    finish(slicer_host, ready)
    assert "was removed meanwhile" in ready.ui.messageLabel.text
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


@needs_model
def test_a_reload_ends_the_worker_and_leaves_no_files(slicer_host, ready):
    ready.ui.applyButton.click()
    slicer_host.process_events(100)
    process = ready.worker.process_id
    slicer_host.close_widgets()
    assert not job_folders(slicer_host)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


# ---- the results


def test_the_results_begin_with_the_notes(results):
    text = results.ui.reportLabel.text
    assert "Brighter than &lt;usual&gt;." in text


def test_the_error_map_can_be_chosen_and_its_opacity_set(results):
    view = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    press_down(section(results, "ViewingSection").ui.overlaySelector)
    assert view.GetForegroundVolumeID() == results._parameterNode.signedErrorVolume.GetID()
    section(results, "ViewingSection").ui.opacitySlider.setValue(0.25)
    assert view.GetForegroundOpacity() == 0.25
    assert results._parameterNode.overlayOpacity == 0.25


def test_only_the_chosen_error_map_has_a_legend(results):
    titles = {
        legend.GetTitleText(): legend.GetVisibility() for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    }
    assert {title.partition("\n")[0]: shown for title, shown in titles.items()} == {
        "Predicted error": 0,
        "True error": 1,
        "Synthetic minus real": 0,
    }


def test_the_opacity_of_somebody_elses_overlay_is_left_alone(results, head):
    view = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    slicer.util.setSliceViewerLayers(foreground=head, foregroundOpacity=0.7)
    section(results, "ViewingSection").ui.opacitySlider.setValue(0.1)
    assert view.GetForegroundOpacity() == 0.7


def test_the_results_are_there_again_when_the_panel_opens_again(slicer_host, module, results):
    text = results.ui.reportLabel.text
    again = slicer_host.open_panel(module)
    assert again.ui.reportLabel.text == text
    assert section(again, "ViewingSection").ui.overlaySelector.count == 3


def test_a_removed_error_map_takes_nothing_else_with_it(results):
    slicer.mrmlScene.RemoveNode(results._parameterNode.absoluteErrorVolume)
    press_down(section(results, "ViewingSection").ui.overlaySelector)
    press_up(section(results, "ViewingSection").ui.overlaySelector)
    assert slicer.util.getNode("vtkMRMLSliceCompositeNodeRed").GetForegroundVolumeID() is None
