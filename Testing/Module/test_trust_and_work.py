"""The sections that say whether to trust: traffic light, provenance, models and help."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
import vtk
from T1T2TranslationLib import catalog
from T1T2TranslationLib.io import read_volume

needs_model = pytest.mark.skipif(
    not any(card.usable and card.name == "t1_to_t2" for card in catalog.list_models()), reason="The model t1_to_t2 is not here."
)


def named(panel, name):
    return next(found for found in panel.sections if type(found).__name__ == f"{name}Section")


@pytest.fixture
def light(slicer_host, ready):
    """The traffic light of the panel with the phantom's T1 chosen."""
    found = named(ready, "InputCheck")
    slicer_host.wait_until(lambda: found._lookedAt is not None, 10)
    return found


@pytest.fixture
def record(results):
    return named(results, "Record")


# ---- traffic light


def test_the_light_says_before_apply_whether_the_volume_fits_and_why_not(slicer_host, light, ready, head):
    assert light.ui.lightLabel.visible
    assert "marked" in light.ui.lightLabel.text  # the phantom's tissues are too even to tell their sequence
    assert light.ui.lightLabel.toolTip.count("<li>") == 10
    thin = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(head)[:9], np.eye(4), "Thin")
    ready._parameterNode.inputVolume = thin
    slicer_host.wait_until(lambda: "9 slices" in light.ui.lightLabel.text, 10)
    assert "refused" in light.ui.lightLabel.text
    ready._parameterNode.inputVolume = None
    assert not light.ui.lightLabel.visible


def test_the_light_follows_voxels_that_change(slicer_host, light, head):
    slicer.util.updateVolumeFromArray(head, np.where(slicer.util.arrayFromVolume(head) > 300, 700, 0).astype(np.int16))
    light.panel.update()
    slicer_host.wait_until(lambda: "label map" in light.ui.lightLabel.text, 10)


def test_a_red_light_forbids_to_apply_and_says_why_until_the_user_insists(slicer_host, light, ready, head):
    apply = ready.ui.applyButton
    assert apply.enabled  # amber goes on
    ct = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(head) - np.int16(1000), np.diag([3.0, 3, 3, 1]), "CT")
    ready._parameterNode.inputVolume = ct
    slicer_host.wait_until(lambda: not apply.enabled, 20)
    assert "as in a CT" in apply.toolTip
    assert "insist under Advanced" in apply.toolTip
    assert "It is refused, unless you insist under Advanced" in light.ui.lightLabel.text
    ready.ui.acceptAnyInputCheckBox.click()
    assert apply.enabled
    assert "since you insist; do not trust the result" in light.ui.lightLabel.text
    ready.ui.acceptAnyInputCheckBox.click()
    assert not apply.enabled
    ready._parameterNode.inputVolume = head
    assert apply.enabled  # before it was looked at


def test_nobody_can_insist_on_what_cannot_be_translated_at_all(slicer_host, light, ready):
    ready._parameterNode.acceptAnyInput = True
    ready._parameterNode.inputVolume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    slicer_host.wait_until(lambda: "holds no voxels" in light.ui.lightLabel.text, 20)
    assert "It cannot be translated" in light.ui.lightLabel.text
    assert not ready.ui.applyButton.enabled
    assert "'Empty' holds no voxels" in ready.ui.applyButton.toolTip


def test_the_light_looks_at_what_the_mask_leaves(slicer_host, light, ready, head):
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Beside")
    slicer.util.updateVolumeFromArray(labels, np.ones((5, 5, 5), np.uint8))
    labels.SetOrigin(500, 500, 500)
    ready._parameterNode.maskNode = labels
    slicer_host.wait_until(lambda: "empty on its grid" in light.ui.lightLabel.text, 20)
    assert not ready.ui.applyButton.enabled
    ready._parameterNode.maskNode = None
    slicer_host.wait_until(lambda: "marked" in light.ui.lightLabel.text, 20)
    assert ready.ui.applyButton.enabled


def test_the_light_stands_among_the_inputs_and_goes_with_the_scene(slicer_host, light):
    assert light.widget.parent().objectName == light.panel.ui.inputsCollapsibleButton.objectName
    slicer.mrmlScene.Clear()
    slicer_host.process_events(300)
    assert not light.ui.lightLabel.visible


# ---- provenance


def test_the_record_names_model_software_device_and_checks(record):
    text = record.ui.recordLabel.text
    for part in ("phantom", "SHA-256", "float32", "2026-01-01", "Brighter than <usual>."):
        assert part in text


def test_without_results_there_is_no_record(panel):
    assert not named(panel, "Record").ui.recordCollapsibleButton.visible


def test_reproduce_chooses_everything_a_result_was_made_with(record, results, head):
    chosen = results._parameterNode
    chosen.inputVolume, chosen.model, chosen.device = None, "gone", "auto"
    record.ui.reproduceButton.click()
    assert chosen.inputVolume is head
    assert (chosen.model, chosen.device, chosen.acceptAnyInput) == ("phantom", "cpu", False)
    assert "press Apply" in results.ui.messageLabel.text


def test_reproduce_says_what_is_no_longer_there(record, results, head):
    slicer.mrmlScene.RemoveNode(head)
    record.ui.reproduceButton.click()
    assert "no longer there" in results.ui.messageLabel.text


@needs_model
def test_the_mask_is_remembered_with_the_result(slicer_host, ready, head):
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Brain")
    slicer.util.updateVolumeFromArray(labels, (slicer.util.arrayFromVolume(head) > 300).astype(np.uint8))
    matrix = vtk.vtkMatrix4x4()
    head.GetIJKToRASMatrix(matrix)
    labels.SetIJKToRASMatrix(matrix)
    ready._parameterNode.maskNode = labels
    ready.ui.applyButton.click()
    slicer_host.wait_until(lambda: not ready.worker.talk.is_busy, 120)
    ready._parameterNode.maskNode = None
    named(ready, "Record").ui.reproduceButton.click()
    assert ready._parameterNode.maskNode is labels


def test_a_result_is_exported_as_marked_dicom_that_lies_where_it_lay(slicer_host, record, results, tmp_path):
    slicer_host.user.answers.append(str(tmp_path))
    record.ui.exportButton.click()
    assert "DICOM files were written" in results.ui.messageLabel.text
    assert "anonymous" in results.ui.messageLabel.text
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in tmp_path.rglob("*.dcm")]
    assert {tuple(one.ImageType) for one in headers} == {("DERIVED", "SECONDARY", "OTHER", "SYNTHETIC")}
    assert len({one.SeriesInstanceUID for one in headers}) == 3
    back = read_volume(next(tmp_path.glob("*/SYNTHETIC_T2")))
    original = results.logic.volumes(results._parameterNode.inputVolume)["volume"]
    np.testing.assert_allclose(back.affine, original.affine, atol=1e-4)


def test_an_exported_series_is_read_into_a_scene_voxel_for_voxel(slicer_host, record, results, tmp_path):
    record.exportTo(str(tmp_path))
    files = sorted(next(tmp_path.glob("*/SYNTHETIC_T2")).glob("*.dcm"))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Read back")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetSingleFile(False)
    storage.SetFileName(str(files[0]))
    for file in files:
        storage.AddFileName(str(file))
    assert storage.ReadData(node)
    synthetic = results._parameterNode.syntheticVolume
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(synthetic))
    places = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
    for one, place in zip((node, synthetic), places, strict=True):
        one.GetIJKToRASMatrix(place)
    np.testing.assert_allclose(*map(slicer.util.arrayFromVTKMatrix, places), atol=1e-4)


def test_a_cancelled_choice_of_a_folder_exports_nothing(slicer_host, record, results, tmp_path):
    slicer_host.user.answers.append("")
    record.ui.exportButton.click()
    assert not list(tmp_path.iterdir())


def test_an_export_of_a_dicom_scan_belongs_to_its_patient_and_study(record, head, tmp_path, monkeypatch):
    sys.path.append(str(Path(__file__).resolve().parents[1] / "Engine"))
    from givens import a_dicom_series

    files = {str(pydicom.dcmread(file).SOPInstanceUID): str(file) for file in a_dicom_series(tmp_path / "scan").iterdir()}

    class Database:
        def fileForInstance(self, uid):
            return files.get(uid, "")

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    head.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    record.exportTo(str(tmp_path / "out"))
    one = pydicom.dcmread(next((tmp_path / "out").rglob("*.dcm")))
    source = pydicom.dcmread(next(iter(files.values())))
    assert one.PatientName == "Doe^Jane"
    assert one.StudyInstanceUID == source.StudyInstanceUID
    assert one.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID


def test_an_export_into_a_folder_that_cannot_be_written_is_told(record, results, tmp_path):
    (tmp_path / "file").write_text("in the way")
    record.exportTo(str(tmp_path / "file"))
    assert "cannot be written" in results.ui.messageLabel.text


# ---- models


def test_each_model_shows_its_card_and_whether_it_fits(slicer_host, ready):
    models = named(ready, "Models")
    models.ui.modelsCollapsibleButton.collapsed = False
    ready.update()
    assert "Scores" in models.ui.cardBrowser.plainText
    assert "licence" in models.ui.cardBrowser.plainText
    assert models.ui.modelFitLabel.text == "It fits 'Head'."
    thin = slicer.util.addVolumeFromArray(np.ones((9, 30, 30), np.int16), np.eye(4), "Thin")
    ready._parameterNode.inputVolume = thin
    assert "does not fit 'Thin'" in models.ui.modelFitLabel.text
    assert models.ui.cardSelector.currentText.endswith("does not fit")


def test_a_model_is_put_to_use_by_one_button_which_says_when_it_is(ready):
    models = named(ready, "Models")
    models.ui.modelsCollapsibleButton.collapsed = False
    ready.update()
    assert "in use" in models.ui.useModelButton.toolTip
    assert not models.ui.useModelButton.enabled
    models.ui.cardSelector.setCurrentIndex(next(i for i, card in enumerate(models._cards) if card.name == "t2_to_t1"))
    models.ui.useModelButton.click()
    assert ready._parameterNode.model == "t2_to_t1"
    assert ready.ui.inputLabel.text == "T2 volume:"
    assert "in use" in models.ui.useModelButton.toolTip


def test_models_of_the_users_folder_are_found_by_looking_again_and_broken_ones_say_why(ready, tmp_path, monkeypatch):
    models = named(ready, "Models")
    models.ui.modelsCollapsibleButton.collapsed = False
    ready.update()
    count = models.ui.cardSelector.count
    (tmp_path / "torn" / "configs").mkdir(parents=True)
    monkeypatch.setenv("T1T2_MODELS", str(tmp_path))
    models.ui.reloadModelsButton.click()
    assert models.ui.cardSelector.count == count + 1
    models.ui.cardSelector.setCurrentIndex(count)
    assert "cannot be used" in models.ui.cardBrowser.plainText
    assert not models.ui.useModelButton.enabled


def test_without_any_model_the_section_says_so(ready, tmp_path, monkeypatch):
    models = named(ready, "Models")
    monkeypatch.setattr(catalog, "bundled_models_folder", lambda: tmp_path)
    models.ui.modelsCollapsibleButton.collapsed = False
    ready.update()
    assert models.ui.cardSelector.count == 0
    assert models.ui.cardBrowser.plainText == ""
    assert not models.ui.useModelButton.enabled
    assert models.ui.useModelButton.toolTip == "No model is here."


# ---- help


def test_one_button_puts_a_report_on_the_clipboard_without_names_and_paths(slicer_host, ready):
    from PySide6.QtGui import QGuiApplication

    ready.showMessage("'Jane Doe' at /home/jane/scan.nii.gz of 1970-01-01 was refused.")
    Path(slicer.app.currentLogFile()).write_text("T1T2: read /data/Doe^Jane/4711815.dcm\nanother module's line\n")
    help_ = named(ready, "Help")
    help_.ui.copyReportButton.click()
    assert not help_.ui.copyReportButton.enabled
    slicer_host.wait_until(lambda: help_.ui.copyReportButton.enabled, 120)
    text = QGuiApplication.clipboard().text()
    for part in ("3D Slicer", "torch", "numpy", "t1_to_t2", "was refused"):
        assert part in text
    assert "T1T2: read <path>" in text
    for private in ("another module", "4711815", "Doe", "Jane", "jane", "1970", str(Path.home()) + os.sep):
        assert private not in text
    assert "clipboard" in help_.ui.copyReportLabel.text
