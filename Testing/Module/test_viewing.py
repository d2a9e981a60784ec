"""The section "View": a reader compares, hides and shows the error, and looks through the trust lens."""

from __future__ import annotations

import json

import matplotlib
import numpy as np
import pytest
import scipy.ndimage
import slicer
from Host import slice_view
from Module.conftest import section
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from T1T2TranslationLib import catalog, samples

COMPARE_LAYOUT = 7412
COLUMNS = ("T1", "Synthetic", "Reference")
PLANES = ("Axial", "Coronal", "Sagittal")


def layout() -> int:
    return slicer.app.layoutManager().layout


def composite(name: str):
    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()


def slice_node(name: str):
    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()


def pixels(name: str) -> np.ndarray:
    return slice_view.render_view(None, name, size=(160, 160)).astype(int)


@pytest.fixture
def compared(slicer_host, viewing):
    """The section after the press that compares."""
    viewing.ui.compareButton.click()
    slicer_host.process_events(20)
    return viewing


# ---- compare


def test_one_press_arranges_three_columns_and_three_planes_and_another_brings_the_old_layout_back(compared, results):
    chosen = results._parameterNode
    columns = {"T1": chosen.inputVolume, "Synthetic": chosen.syntheticVolume, "Reference": chosen.alignedReferenceVolume}
    for column, node in columns.items():
        for plane in PLANES:
            name = f"T1T2{column}{plane}"
            assert composite(name).GetBackgroundVolumeID() == node.GetID()
            assert slice_node(name).GetOrientation() == plane
    assert layout() == COMPARE_LAYOUT
    assert compared.ui.compareButton.checked
    compared.ui.compareButton.click()
    assert layout() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert not compared.ui.compareButton.checked


def test_without_a_real_t2_the_third_column_shows_the_predicted_error(slicer_host, ready, head):
    ready._inputOfJob = head
    ready.onDone(samples.phantom_translation(ready.logic.volumes(head)["volume"]))
    section(ready, "ViewingSection").ui.compareButton.click()
    view = composite("T1T2ReferenceAxial")
    assert view.GetBackgroundVolumeID() == ready._parameterNode.syntheticVolume.GetID()
    assert view.GetForegroundVolumeID() == ready._parameterNode.predictedErrorVolume.GetID()
    assert slice_node("T1T2ReferenceAxial").GetLayoutLabel() == "Error"


def test_the_columns_scroll_and_zoom_together_and_other_layouts_do_not(compared):
    node = slice_node("T1T2SyntheticAxial")
    before, red = node.GetSliceOffset(), slice_node("Red").GetSliceOffset()
    logic = slicer.app.layoutManager().sliceWidget("T1T2SyntheticAxial").sliceLogic()
    logic.StartSliceOffsetInteraction()
    logic.SetSliceOffset(before + 12)
    logic.EndSliceOffsetInteraction()
    for column in COLUMNS:
        assert slice_node(f"T1T2{column}Axial").GetSliceOffset() == pytest.approx(before + 12)
    assert slice_node("Red").GetSliceOffset() == red
    logic.StartSliceNodeInteraction(node.FieldOfViewFlag)
    node.SetFieldOfView(50, 50, 1)
    logic.EndSliceNodeInteraction()
    for column in COLUMNS:
        assert slice_node(f"T1T2{column}Axial").GetFieldOfView()[0] == pytest.approx(50)


def test_the_crosshair_is_shown_and_put_back(compared):
    crosshair = slicer.util.getNode("vtkMRMLCrosshairNodedefault")
    assert crosshair.GetCrosshairMode() == crosshair.ShowBasic
    compared.ui.compareButton.click()
    assert crosshair.GetCrosshairMode() == crosshair.NoCrosshair


def test_every_view_of_the_comparison_shows_the_head(compared):
    for name in (f"T1T2{column}{plane}" for column in COLUMNS for plane in PLANES):
        assert (pixels(name).max(axis=-1) > 60).mean() > 0.1, name


def test_a_layout_chosen_elsewhere_releases_the_button(compared):
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert not compared.ui.compareButton.checked


def test_a_saved_scene_comes_back_in_the_compare_layout_with_links_lens_and_sliders(slicer_host, compared, results, tmp_path):
    compared.ui.lensSlider.setValue(0.7)
    compared.ui.thresholdSlider.setValue(40)
    path = str(tmp_path / "scene.mrml")
    slicer.mrmlScene.SetURL(path)
    slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear()
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.mrmlScene.SetURL(path)
    slicer.mrmlScene.Import()
    chosen = results._parameterNode
    assert layout() == COMPARE_LAYOUT
    assert (chosen.lensStrength, chosen.errorThreshold, chosen.overlay) == (0.7, 40, "absoluteError")
    assert chosen.lensVolume.GetName() == "Head SYNTHETIC T2 trust lens"
    view = composite("T1T2SyntheticCoronal")
    assert view.GetLinkedControl()
    assert view.GetBackgroundVolumeID() == chosen.lensVolume.GetID()
    assert compared.ui.compareButton.checked
    assert compared.ui.lensSlider.value == 0.7
    assert (colors_of(chosen.signedErrorVolume)[128 + 16 :, 3] == 1).all()  # from 40 on
    assert (colors_of(chosen.signedErrorVolume)[128 : 128 + 12, 3] == 0).all()
    assert not slicer_host.failures


# ---- the error map


def test_a_key_hides_the_error_map_with_its_legend_and_shows_it_again(slicer_host, viewing, results):
    window = slicer.util.mainWindow()._unwrap()
    window.show()
    view = composite("Red")
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(results._parameterNode.absoluteErrorVolume)
    assert (view.GetForegroundOpacity(), legend.GetVisibility()) == (0.5, 1)
    assert "Ctrl+Shift+E" in viewing.ui.overlayCheckBox.text
    window.activateWindow()
    slicer_host.process_events(50)
    QTest.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert (view.GetForegroundOpacity(), legend.GetVisibility()) == (0, 0)
    assert not viewing.ui.overlayCheckBox.checked
    QTest.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert (view.GetForegroundOpacity(), legend.GetVisibility()) == (0.5, 1)


def test_the_threshold_is_told_in_unit_and_percent_and_the_legend_follows(viewing, results):
    viewing.ui.thresholdSlider.setValue(230)
    error = results._parameterNode.absoluteErrorVolume
    assert viewing.ui.thresholdValueLabel.text == "23 % of 1000; fluid is about 1000"
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(error)
    assert legend.GetTitleText() == "True error\nfrom 230 (23 %)\nopacity 50 %"
    viewing.ui.opacitySlider.setValue(1.0)
    assert legend.GetTitleText() == "True error\nfrom 230 (23 %)"
    assert error.GetVolumeDisplayNode().GetLowerThreshold() == 230


def test_no_colour_is_left_below_the_threshold(viewing):
    coloured = np.ptp(pixels("Red"), axis=-1) > 20
    viewing.ui.thresholdSlider.setValue(400)
    assert coloured.mean() > 0.1
    assert (np.ptp(pixels("Red"), axis=-1)[30:, :80] > 20).mean() == 0  # but for mark and legend


def colors_of(node) -> np.ndarray:
    """(256, 4) the colours of a volume's table."""
    table = node.GetVolumeDisplayNode().GetColorNode().GetLookupTable()
    return np.array([table.GetTableValue(index) for index in range(table.GetNumberOfTableValues())])


def test_each_kind_of_error_has_its_own_colours_name_and_legend(results):
    chosen = results._parameterNode
    kinds = (chosen.predictedErrorVolume, chosen.absoluteErrorVolume, chosen.signedErrorVolume)
    highest = [tuple(np.rint(255 * colors_of(node)[-1, :3]).astype(int)) for node in kinds]
    wanted = [matplotlib.colormaps[name](1.0, bytes=True)[:3] for name in ("inferno", "viridis", "berlin")]
    np.testing.assert_allclose(highest, wanted, atol=10)
    assert [node.GetName().partition("T2 ")[2] for node in kinds] == ["predicted error", "absolute error", "error"]


def choose_overlay(viewing, key: str) -> None:
    selector = viewing.ui.overlaySelector
    selector.setCurrentIndex(selector.findData(key))
    selector._unwrap().activated.emit(selector.currentIndex)


def test_a_signed_map_leaves_the_image_alone_where_there_is_no_error_and_follows_the_threshold(viewing, results):
    choose_overlay(viewing, "signedError")
    viewing.ui.opacitySlider.setValue(1.0)
    viewing.ui.overlayCheckBox.setChecked(False)
    alone = pixels("Red")
    viewing.ui.overlayCheckBox.setChecked(True)
    covered = []
    for threshold in (0, 100, 200):
        viewing.ui.thresholdSlider.setValue(threshold)
        covered.append((pixels("Red") != alone).any(axis=-1)[30:, :80].mean())
    assert covered[0] > 0.3
    assert covered[0] > 1.2 * covered[1] > 1.2 * covered[2] > 0.05
    size = np.abs(np.linspace(-400, 400, 256))
    colors = colors_of(results._parameterNode.signedErrorVolume)
    assert (colors[size < 200] == 0).all()  # black in the legend, too
    assert (colors[size >= 200, 3] == 1).all()


def test_one_table_of_colours_serves_all_results_of_a_scene(results):
    phantom = samples.phantom()
    other = slicer.util.addVolumeFromArray(phantom.array.transpose(2, 1, 0), phantom.affine, "Other")
    tables = len(slicer.util.getNodesByClass("vtkMRMLColorTableNode"))
    results._inputOfJob = other
    results.onDone(samples.phantom_translation(results.logic.volumes(other)["volume"], with_reference=True))
    assert len(slicer.util.getNodesByClass("vtkMRMLColorTableNode")) == tables


def test_colours_that_the_user_chose_stay(viewing, results):
    node = results._parameterNode.absoluteErrorVolume
    node.GetVolumeDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeFileMagma.txt")
    before = colors_of(node)
    viewing.ui.thresholdSlider.setValue(230)
    np.testing.assert_array_equal(colors_of(node), before)


def test_what_the_model_promises_is_told_in_one_line(viewing, results):
    assert not viewing.ui.intervalLabel.visible  # the phantom's model promises nothing
    synthetic = results._parameterNode.syntheticVolume
    report = json.loads(synthetic.GetAttribute("T1T2.Provenance"))
    card = catalog.find_model("t1_to_t2")
    made_by = {"weights_sha256": card.sha256, "error_factor": card.error_factor}
    synthetic.SetAttribute("T1T2.Provenance", json.dumps(report | made_by))
    viewing.update()
    stated = catalog.read_metadata(card.folder)["t1t2"]["interval"]
    error = slicer.util.arrayFromVolume(results._parameterNode.predictedErrorVolume)
    half = stated["factor"] * (error[error > 0].mean() + 1000 * stated["added"])
    assert (
        f"90\N{NO-BREAK SPACE}% of the brain's voxels are expected within \N{PLUS-MINUS SIGN}{stated['factor']:.2f}"
        in viewing.ui.intervalLabel.text
    )
    assert f"here \N{PLUS-MINUS SIGN}{half:.0f} (" in viewing.ui.intervalLabel.text


# ---- the trust lens


def test_the_lens_shows_the_t1_in_blue_where_the_error_is_high_and_the_synthetic_image_elsewhere(viewing, results, head):
    display = head.GetVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 1200)
    viewing.ui.thresholdSlider.setValue(130)
    viewing.ui.lensSlider.setValue(1.0)
    chosen = results._parameterNode
    lens, synthetic, error, t1 = (
        slicer.util.arrayFromVolume(node)
        for node in (chosen.lensVolume, chosen.syntheticVolume, chosen.absoluteErrorVolume, head)
    )
    smooth = scipy.ndimage.gaussian_filter(error.astype(float), 1.5 / 3)  # voxels of 3 mm
    low, high = smooth < 120, smooth > 240
    assert min(low.sum(), high.sum()) > 1000
    grey, scan = (255 * np.clip(image / 1200, 0, 1)[..., None] for image in (synthetic, t1))
    np.testing.assert_array_equal(lens[low], np.rint(grey[low]).repeat(3, axis=1))
    blue = np.array([25, 50, 105]) + scan / 255 * np.array([180, 200, 150])
    np.testing.assert_allclose(lens[high], blue[high], atol=1.5)
    viewing.ui.lensSlider.setValue(0.5)
    np.testing.assert_allclose(lens[high], (blue[high] + grey[high]) / 2, atol=1.5)


def test_the_lens_takes_the_synthetic_images_place_in_the_views_and_gives_it_back(compared, results):
    chosen = results._parameterNode
    compared.ui.lensSlider.setValue(0.4)
    views = ("Red", "T1T2SyntheticAxial", "T1T2T1Axial", "T1T2ReferenceAxial")
    lens, real = chosen.lensVolume, chosen.alignedReferenceVolume
    assert [composite(name).GetBackgroundVolumeID() for name in views] == [
        node.GetID() for node in (lens, lens, chosen.inputVolume, real)
    ]
    compared.ui.lensSlider.setValue(0)
    assert composite("Red").GetBackgroundVolumeID() == chosen.syntheticVolume.GetID()


def test_the_lens_changes_the_pixels_where_there_is_error(viewing, results):
    viewing.ui.overlayCheckBox.click()
    before = pixels("Red")
    viewing.ui.lensSlider.setValue(1.0)
    assert (np.abs(pixels("Red") - before) > 20).any(axis=-1).mean() > 0.05


def test_a_lens_without_its_t1_is_no_error(slicer_host, viewing, results, head):
    slicer.mrmlScene.RemoveNode(head)
    viewing.ui.lensSlider.setValue(0.5)
    assert results._parameterNode.lensVolume is None
    assert composite("Red").GetBackgroundVolumeID() == results._parameterNode.syntheticVolume.GetID()


def test_deleting_the_synthetic_volume_leaves_nothing_that_served_it(viewing, results, head):
    viewing.ui.lensSlider.setValue(0.5)
    chosen = results._parameterNode
    for node in [chosen.getValue(f"{key}Volume") for key in ("synthetic", "predictedError", "absoluteError", "signedError")]:
        slicer.mrmlScene.RemoveNode(node)
    slicer.mrmlScene.RemoveNode(chosen.alignedReferenceVolume)
    assert [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")] == ["Head"]
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeDisplayNode")) == 1
    assert not slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert not viewing.ui.viewingCollapsibleButton.visible


# ---- SYNTHETIC, written into the views


def mark_of(name: str) -> np.ndarray:
    """(rows, columns) bool: letters of the mark's colour in the upper left corner."""
    corner = pixels(name)[:30, :100]
    return (corner[..., 0] > 180) & (corner[..., 2] < 130)


def test_views_that_show_a_synthetic_volume_say_so_and_real_images_do_not(compared, results, head):
    assert mark_of("Red").sum() > 50
    assert mark_of("T1T2SyntheticAxial").sum() > 50
    assert mark_of("T1T2T1Axial").sum() == 0
    assert mark_of("T1T2ReferenceAxial").sum() == 0  # a real T2, although an error map lies over it
    composite("Red").SetBackgroundVolumeID(head.GetID())
    assert mark_of("Red").sum() == 0


def test_the_mark_says_where_the_lens_mixes_the_scan_in(viewing, results):
    alone = mark_of("Red").sum()
    viewing.ui.lensSlider.setValue(1.0)
    assert mark_of("Red").sum() > 1.1 * alone
    viewing.ui.lensSlider.setValue(0.0)
    assert mark_of("Red").sum() == alone


def test_the_marks_go_with_the_panel(slicer_host, viewing):
    slicer_host.close_widgets()
    assert mark_of("Red").sum() == 0


# ---- without a mouse


def test_the_tab_key_walks_through_the_section_from_top_to_bottom(viewing):
    wanted = ["compareButton", "overlaySelector", "overlayCheckBox", "opacitySlider", "thresholdSlider", "lensSlider"]
    widget, walked = viewing.ui.compareButton._unwrap(), []
    while widget.objectName() not in walked and len(walked) < len(wanted):
        if widget.objectName() in wanted:
            walked.append(widget.objectName())
        widget = widget.nextInFocusChain()
        while widget.objectName() not in wanted:
            widget = widget.nextInFocusChain()
    assert walked == wanted
    assert all(getattr(viewing.ui, name)._unwrap().isEnabled() for name in wanted)
