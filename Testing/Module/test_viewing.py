"""The section "View": a reader compares, hides and shows the error, and looks through the trust lens."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from Host import slice_view
from Module.conftest import section
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from T1T2TranslationLib import samples

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
    assert legend.GetTitleText() == "True error\nfrom 230 (23 %)"
    assert error.GetVolumeDisplayNode().GetLowerThreshold() == 230


def test_no_colour_is_left_below_the_threshold(viewing):
    coloured = np.ptp(pixels("Red"), axis=-1) > 20
    viewing.ui.thresholdSlider.setValue(400)
    assert coloured.mean() > 0.1
    assert (np.ptp(pixels("Red"), axis=-1)[30:, :80] > 20).mean() == 0  # but for mark and legend


def test_each_kind_of_error_has_its_own_colours_name_and_legend(results):
    chosen = results._parameterNode
    kinds = (chosen.predictedErrorVolume, chosen.absoluteErrorVolume, chosen.signedErrorVolume)
    tables = [node.GetVolumeDisplayNode().GetColorNodeID().removeprefix("vtkMRMLColorTableNodeFile") for node in kinds]
    assert tables == ["Inferno.txt", "Viridis.txt", "DivergingBlueRed.txt"]
    assert [node.GetName().partition("T2 ")[2] for node in kinds] == ["predicted error", "absolute error", "error"]


# ---- the trust lens


def a_voxel_with(error, value) -> tuple:
    return tuple(int(index) for index in np.argwhere(slicer.util.arrayFromVolume(error) >= value)[0])


def test_the_lens_shows_the_t1_where_the_error_is_high_and_the_synthetic_image_elsewhere(viewing, results, head):
    display = head.GetVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 1200)  # the window of a synthetic image: T1 values are shown as they are
    viewing.ui.thresholdSlider.setValue(100)
    viewing.ui.lensSlider.setValue(1.0)
    chosen = results._parameterNode
    lens, synthetic, error, t1 = (
        slicer.util.arrayFromVolume(node)
        for node in (chosen.lensVolume, chosen.syntheticVolume, chosen.absoluteErrorVolume, head)
    )
    np.testing.assert_array_equal(lens[error < 100], synthetic[error < 100])
    high = error >= 150  # the scan comes in fully 50 above the threshold
    np.testing.assert_array_equal(lens[high], np.clip(t1[high], 0, 1200))
    viewing.ui.lensSlider.setValue(0.5)
    np.testing.assert_allclose(lens[high], (np.clip(t1[high], 0, 1200) + synthetic[high].astype(int)) / 2, atol=0.51)


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
