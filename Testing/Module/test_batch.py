"""The section "Batch": many volumes one after another, beside whatever the user does, and after a crash of Slicer."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
from Module.conftest import MODULE, section
from PySide6.QtCore import QSettings
from T1T2TranslationLib import catalog, samples
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.volume import Volume

needs_model = pytest.mark.skipif(
    not any(card.usable and card.name == "t1_to_t2" for card in catalog.list_models()), reason="The model t1_to_t2 is not here."
)


@pytest.fixture
def batch(ready):
    """The section, opened, before anything is in its list."""
    return opened(ready)


def opened(panel):
    found = section(panel, "BatchSection")
    found.ui.batchCollapsibleButton.collapsed = False
    return found


def states(batch) -> list[str]:
    table = batch.ui.batchTable
    return [table.item(row, 1).text() for row in range(table.rowCount)]


def add(host, batch, folder: Path) -> None:
    """Put a folder into the list and wait until it was searched."""
    batch.addFolder(str(folder))
    searched(host, batch)


def searched(host, batch) -> None:
    host.wait_until(lambda: not any(search.is_running for search in batch._searches.values()), 60)


def finish(host, batch, timeout_s=120) -> None:
    host.wait_until(lambda: batch.queue.is_idle, timeout_s)


def scans(folder: Path, count: int) -> Path:
    """A folder with heads in files of their own, the last of which is no head."""
    folder.mkdir()
    head = samples.phantom()
    for number in range(count - 1):
        write_volume(head.with_array(head.array + np.int16(number)), folder / f"scan{number}.nii.gz")
    write_volume(Volume(head.array[:, :, :9], head.affine), folder / "thin.nii.gz")
    return folder


def a_second_head(head):
    return slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(head) + np.int16(3), np.diag([3.0, 3, 3, 1]), "Second")


def results_of(node) -> set[str]:
    """The kinds of the output nodes of an input."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return {volume.GetAttribute("T1T2.Kind") for volume in volumes if volume.GetNodeReference("T1T2.Input") is node}


# ---- volumes of the scene


@needs_model
def test_volumes_of_the_scene_are_translated_one_after_another(slicer_host, batch, head):
    second = a_second_head(head)
    batch.ui.addSceneButton.click()
    assert states(batch) == ["waiting", "waiting"]
    batch.ui.startButton.click()
    assert states(batch)[0] == "running"
    assert batch.ui.startButton.toolTip == "The batch is running."
    finish(slicer_host, batch)
    assert states(batch) == ["done", "done"]
    assert results_of(head) == results_of(second) == {"synthetic", "predictedError"}
    assert batch.ui.batchProgressBar.value == 100
    batch.ui.addSceneButton.click()  # nothing twice, and no synthetic volume
    assert len(states(batch)) == 2
    batch.ui.clearButton.click()
    assert states(batch) == []
    batch.ui.addSceneButton.click()
    batch.ui.startButton.click()
    finish(slicer_host, batch)
    assert states(batch) == ["done before", "done before"]


@needs_model
def test_a_batch_leaves_the_panels_choices_results_and_views_alone(slicer_host, results, head):
    second, batch = a_second_head(head), opened(results)
    chosen, view = results._parameterNode, slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")

    def on_show():
        names = ("inputVolume", "syntheticVolume", "predictedErrorVolume", "absoluteErrorVolume")
        shown = view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetForegroundOpacity()
        return [chosen.getValue(name) for name in names], chosen.overlay, shown, results.ui.reportLabel.text

    before = on_show()
    batch._addNodes([second])
    batch.ui.startButton.click()
    finish(slicer_host, batch)
    assert states(batch) == ["done"]
    assert on_show() == before
    batch.onDoubleClicked(0, 0)
    assert chosen.inputVolume is second
    assert chosen.syntheticVolume.GetNodeReference("T1T2.Input") is second


@needs_model
def test_a_batch_keeps_the_model_that_it_was_started_with(slicer_host, batch, ready, head):
    a_second_head(head)
    batch.ui.addSceneButton.click()
    batch.ui.startButton.click()
    ready._parameterNode.model = "gone"
    finish(slicer_host, batch)
    assert states(batch) == ["done", "done"]


@needs_model
def test_what_the_light_would_refuse_is_refused_with_the_reason_and_the_rest_goes_on(slicer_host, batch, head):
    thin = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(head)[:9], np.eye(4), "Thin")
    batch._addNodes([thin, head])
    batch.ui.startButton.click()
    finish(slicer_host, batch)
    assert states(batch) == ["refused", "done"]
    assert "9 slices" in batch.ui.batchTable.item(0, 2).text()
    assert results_of(thin) == set()


@needs_model
def test_a_volume_that_is_removed_meanwhile_is_refused(slicer_host, batch, head):
    batch.ui.addSceneButton.click()
    batch.ui.startButton.click()
    slicer.mrmlScene.RemoveNode(head)
    finish(slicer_host, batch)
    assert states(batch) == ["refused"]
    assert "removed" in batch.ui.batchTable.item(0, 2).text()


def test_a_subject_of_the_scene_brings_its_volumes_alone(batch, head):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "First study")
    hierarchy.CreateItem(study, head)
    slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(head), np.eye(4), "Elsewhere")
    batch.onCollapsed(False)
    selector = batch.ui.subjectSelector
    assert [selector.itemText(index) for index in range(1, selector.count)] == ["Study: First study"]
    batch.onSubjectChosen(1)
    assert [item.name for item in batch.queue.items] == ["Head"]


def test_a_preview_is_no_volume_to_translate(batch, ready, head):
    ready.preview.show(samples.phantom_translation(ready.logic.volumes(head)["volume"]), head)
    batch.ui.addSceneButton.click()
    assert [item.name for item in batch.queue.items] == ["Head"]


def test_a_double_click_shows_the_result_of_the_volume_that_is_chosen_already(batch, ready, head):
    from T1T2TranslationSlicer import result_nodes

    view = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    slicer.util.setSliceViewerLayers(background=head)
    batch._addNodes([head])
    batch.onDoubleClicked(0, 0)  # nothing was made yet
    assert view.GetBackgroundVolumeID() == head.GetID()
    made = result_nodes.store(samples.phantom_translation(ready.logic.volumes(head)["volume"]), head)
    for _ in range(2):  # the second time the panel knows the result, but not the views
        slicer.util.setSliceViewerLayers(background=head)
        batch.onDoubleClicked(0, 0)
        assert ready._parameterNode.syntheticVolume is made["synthetic"]
        assert view.GetBackgroundVolumeID() == made["synthetic"].GetID()


# ---- what can be pressed, and why not


def test_start_says_what_is_missing(slicer_host, batch, ready, head, monkeypatch):
    assert not batch.ui.startButton.enabled
    assert "Nothing waits" in batch.ui.startButton.toolTip
    assert "Nothing waits" in batch.ui.batchLabel.text
    batch.ui.addSceneButton.click()
    assert batch.ui.startButton.enabled
    assert batch.ui.batchLabel.text == "1 waiting."
    ready._parameterNode.model = "gone"
    assert not batch.ui.startButton.enabled
    assert "'gone' is not installed" in batch.ui.batchLabel.text
    ready._parameterNode.model = "t1_to_t2"

    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    ready.update()
    assert not batch.ui.startButton.enabled
    assert "PyTorch is missing" in batch.ui.startButton.toolTip


@needs_model
def test_a_pause_lets_the_running_volume_end_and_no_other_begin(slicer_host, batch, tmp_path):
    add(slicer_host, batch, scans(tmp_path / "scans", 3))
    batch.ui.startButton.click()
    batch.ui.pauseButton.click()
    finish(slicer_host, batch)
    assert states(batch) == ["done", "waiting", "waiting"]
    assert batch.ui.startButton.enabled
    batch.ui.startButton.click()
    finish(slicer_host, batch)
    assert states(batch) == ["done", "done", "refused"]


@needs_model
def test_cancelled_volumes_stay_undone_until_they_are_tried_again(slicer_host, batch, head):
    batch.ui.addSceneButton.click()
    batch.ui.startButton.click()
    batch.ui.cancelBatchButton.click()
    finish(slicer_host, batch, 10)
    assert states(batch) == ["cancelled"]
    batch.ui.retryButton.click()
    finish(slicer_host, batch)
    assert states(batch) == ["done"]


def test_what_is_added_after_a_batch_waits_for_start(slicer_host, batch, ready, head):
    batch.ui.addSceneButton.click()
    batch.ui.startButton.click()
    batch.ui.cancelBatchButton.click()
    slicer_host.wait_until(lambda: ready.ui.messageLabel.text == "Batch: 1 cancelled.", 10)
    a_second_head(head)
    batch.ui.addSceneButton.click()
    ready.update()
    slicer_host.process_events(50)
    assert states(batch) == ["cancelled", "waiting"]


def test_only_the_selected_volumes_are_cancelled(slicer_host, batch, tmp_path):
    add(slicer_host, batch, scans(tmp_path / "scans", 3))
    batch.ui.batchTable.selectRow(1)
    batch.ui.cancelBatchButton.click()
    assert states(batch) == ["waiting", "cancelled", "waiting"]
    batch.ui.retryButton.click()
    assert states(batch) == ["waiting"] * 3


# ---- folders on disk


@needs_model
def test_a_folder_on_disk_is_translated_and_what_is_done_is_not_done_again(slicer_host, batch, ready, module, tmp_path):
    folder = scans(tmp_path / "scans", 3)
    slicer_host.user.answers.append(str(folder))
    batch.ui.addFolderButton.click()
    searched(slicer_host, batch)
    batch.ui.startButton.click()
    finish(slicer_host, batch)
    assert states(batch) == ["done", "done", "refused"]
    slicer_host.wait_until(lambda: ready.ui.messageLabel.text == "Batch: 2 done, 1 refused.", 10)
    assert "9 slices" in batch.ui.batchTable.item(2, 2).text()
    results = sorted(path.name for path in (folder / "T1T2_SYNTHETIC").iterdir())
    assert [name for name in results if "scan0" in name] == [
        "scan0_SYNTHETIC_T2.json",
        "scan0_SYNTHETIC_T2.nii.gz",
        "scan0_SYNTHETIC_T2_error.nii.gz",
    ]
    again = opened(slicer_host.open_panel(module))
    add(slicer_host, again, folder)
    assert len(states(again)) == 3  # no result is taken for a scan
    again.ui.startButton.click()
    finish(slicer_host, again)
    assert states(again) == ["done before", "done before", "refused"]
    notes = [[shown.ui.batchTable.item(row, 2).text() for row in range(3)] for shown in (batch, again)]
    assert notes[0] == notes[1]


_OPENED: list[str] | None = None


def _remember(event: str, arguments: tuple) -> None:
    if _OPENED is not None and event in ("open", "os.listdir", "os.scandir"):
        _OPENED.append(str(arguments[0]))


sys.addaudithook(_remember)  # which no test can take away again


@pytest.fixture
def opened_here(monkeypatch) -> list[str]:
    """Every file and folder that this process, Slicer's, opens during the test."""
    found: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_OPENED", found)
    return found


@needs_model
def test_slicer_itself_opens_no_scan_and_no_result_of_a_folder(slicer_host, batch, tmp_path, opened_here):
    folder = scans(tmp_path / "scans", 3)
    opened_here.clear()
    add(slicer_host, batch, folder)
    batch.ui.startButton.click()
    finish(slicer_host, batch)
    assert states(batch) == ["done", "done", "refused"]
    assert [path for path in opened_here if str(folder) in path] == []
    read_volume(folder / "scan0.nii.gz")  # as the panel did once
    assert [path for path in opened_here if str(folder) in path] != []


def test_a_folder_without_scans_says_so(slicer_host, batch, ready, tmp_path):
    add(slicer_host, batch, tmp_path)
    assert "holds no scan" in ready.ui.messageLabel.text


def test_a_folder_that_cannot_be_searched_says_why(slicer_host, batch, ready, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    add(slicer_host, batch, tmp_path)
    assert "cannot be searched" in ready.ui.messageLabel.text


def test_closing_the_scene_takes_its_volumes_out_of_the_list(slicer_host, batch, head, tmp_path):
    batch.ui.addSceneButton.click()
    add(slicer_host, batch, scans(tmp_path / "scans", 2))
    slicer.mrmlScene.Clear()
    slicer_host.process_events()
    assert [item.name for item in batch.queue.items] == ["scan0", "thin"]


@needs_model
def test_closing_the_scene_while_a_volume_of_it_runs_lets_the_files_go_on(slicer_host, batch, head, tmp_path):
    batch.ui.addSceneButton.click()
    add(slicer_host, batch, scans(tmp_path / "scans", 2))
    batch.ui.startButton.click()
    slicer.mrmlScene.Clear()
    finish(slicer_host, batch)
    assert states(batch) == ["done", "refused"]


# ---- after a crash


def test_a_list_that_was_not_done_is_there_again_after_a_crash_and_waits(slicer_host, batch, module, tmp_path):
    folder = scans(tmp_path / "scans", 3)
    add(slicer_host, batch, folder)
    after_the_crash = section(slicer_host.open_panel(module), "BatchSection")  # the first one never said good-bye
    assert states(after_the_crash) == []  # opening the panel looks at no disk
    after_the_crash.ui.batchCollapsibleButton.collapsed = False
    searched(slicer_host, after_the_crash)
    assert states(after_the_crash) == ["waiting"] * 3
    after_the_crash.ui.cancelBatchButton.click()
    third = opened(slicer_host.open_panel(module))
    assert third._searches == {}  # what was taken back is not offered again


def test_settings_that_are_no_list_of_folders_are_passed_over(slicer_host, module):
    for value in ("no JSON", "7", '[1, {"a": 2}]', ["/scans/a", "/scans/b"]):
        slicer.app.userSettings().setValue("T1T2Translation/UnfinishedBatch", value)
        assert opened(slicer_host.open_panel(module))._searches == {}


def test_what_was_not_done_is_read_where_it_was_written(slicer_host, batch, module, tmp_path, monkeypatch):
    users = QSettings(str(tmp_path / "Slicer.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(type(slicer.app._unwrap()), "userSettings", lambda application: users)
    add(slicer_host, batch, scans(tmp_path / "scans", 1))
    assert section(slicer_host.open_panel(module), "BatchSection")._toResume == [str(tmp_path / "scans")]


_PANEL_TO_BE_KILLED = """
import sys; sys.path[:0] = sys.argv[1:3]
from Host import session
host = session.host(); host.restart()
panel = host.open_panel(host.load_module(sys.argv[2] + "/T1T2Translation.py"))
panel._parameterNode.device = "cpu"
batch = next(section for section in panel.sections if type(section).__name__ == "BatchSection")
batch.addFolder(sys.argv[3])
host.wait_until(lambda: batch.queue.items, 120)
batch.onStart()
host.wait_until(lambda: batch.queue.ended, 300)
print("one is done", flush=True)
host.wait_until(lambda: batch.queue.is_idle, 300)
"""


@needs_model
@pytest.mark.slow
def test_a_folder_batch_killed_halfway_and_begun_again_does_only_the_rest(slicer_host, batch, tmp_path):
    folder = scans(tmp_path / "scans", 6)
    code = [_PANEL_TO_BE_KILLED, str(MODULE.parents[1] / "Testing"), str(MODULE.parent), str(folder)]
    with subprocess.Popen([sys.executable, "-c", *code], stdout=subprocess.PIPE, env=os.environ) as killed:
        assert killed.stdout.readline() == b"one is done\n"
        killed.send_signal(signal.SIGKILL)
    add(slicer_host, batch, folder)
    made = {path: path.stat().st_mtime_ns for path in (folder / "T1T2_SYNTHETIC").glob("*.json")}
    batch.ui.startButton.click()
    finish(slicer_host, batch, 300)
    assert sorted(states(batch)) == ["done"] * (5 - len(made)) + ["done before"] * len(made) + ["refused"]
    assert 1 <= len(made) < 5
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(list((folder / "T1T2_SYNTHETIC").iterdir())) == 5 * 3 + 1  # nothing half written is left
