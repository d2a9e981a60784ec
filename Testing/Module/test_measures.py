"""The section "Measures": scores, charts in Slicer's chart view, and both as files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
import vtk
from Module.conftest import section
from T1T2TranslationLib import samples


@pytest.fixture
def measures(results):
    """The section, opened, after a translation with a real T2."""
    found = section(results, "MeasuresSection")
    found.ui.measuresCollapsibleButton.click()
    return found


def chart():
    view = slicer.mrmlScene.GetSingletonNode("T1T2Chart", "vtkMRMLPlotViewNode")
    return slicer.mrmlScene.GetNodeByID(view.GetPlotChartNodeID())


def columns(series) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a series, from its table."""
    table = series.GetTableNode()
    return tuple(slicer.util.arrayFromTableColumn(table, name) for name in (series.GetXColumnName(), series.GetYColumnName()))


def choose(measures, name: str) -> None:
    selector = measures.ui.chartSelector
    selector.setCurrentIndex(selector.findData(name))
    measures.ui.chartButton.click()


def test_the_table_shows_every_region(measures):
    assert "<td>SSIM</td><td align='right'>0.9</td>" in measures.ui.metricsLabel.text
    assert "<th align='right'>csf</th>" in measures.ui.metricsLabel.text


def test_without_a_real_t2_it_says_how_to_get_measures(ready, head):
    ready._inputOfJob = head
    ready.onDone(samples.phantom_translation(ready.logic.volumes(head)["volume"]))
    found = section(ready, "MeasuresSection")
    found.ui.measuresCollapsibleButton.click()
    assert "Choose a real T2" in found.ui.metricsLabel.text
    assert not found.ui.chartButton.visible
    assert found.ui.reportButton.visible


def test_where_a_real_t2_was_compared_but_nothing_could_be_measured_it_says_why(ready, head):
    made = samples.phantom_translation(ready.logic.volumes(head)["volume"], with_reference=True)
    ready._inputOfJob = head
    ready.onDone(dataclasses.replace(made, comparison=dataclasses.replace(made.comparison, metrics={})))
    found = section(ready, "MeasuresSection")
    found.ui.measuresCollapsibleButton.click()
    assert found.ui.metricsLabel.text == "There is no brain in the region of interest, so nothing was measured."


def test_the_segments_of_a_segmentation_are_measured_one_by_one(measures, head):
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    block = np.zeros(slicer.util.arrayFromVolume(head).shape, np.uint8)
    block[20:40, 20:40, 15:35] = 1
    slicer.util.updateVolumeFromArray(labels, block)
    labels.CopyOrientation(head)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Findings")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, segmentation)
    segmentation.GetSegmentation().GetNthSegment(0).SetName("Tumour")
    assert not measures.ui.segmentsButton.enabled
    measures.ui.segmentsSelector.setCurrentNode(segmentation)
    measures.ui.segmentsButton.click()
    assert "Tumour" in measures.ui.metricsLabel.text
    chosen = measures.parameters
    synthetic, real = (
        slicer.util.arrayFromVolume(node)[block == 1] / 1000 for node in (chosen.syntheticVolume, chosen.alignedReferenceVolume)
    )
    assert measures.metrics()["Tumour"]["MAE"] == pytest.approx(np.abs(synthetic - np.clip(real, 0, 1)).mean(), abs=1e-5)


def test_error_slice_by_slice_is_charted(measures):
    choose(measures, "slices")
    assert slicer.app.layoutManager().layout == 7413
    position, mean = columns(chart().GetNthPlotSeriesNode(0))
    error = slicer.util.arrayFromVolume(measures.parameters.absoluteErrorVolume)
    assert len(position) == error.shape[0]
    assert mean[30] == pytest.approx(error[30][error[30] > 0].mean())
    assert (np.diff(position) > 0).all()


def test_a_click_on_a_slices_point_takes_the_views_there(measures):
    choose(measures, "slices")
    view = slicer.app.layoutManager().plotWidget(0).plotView()
    rows, selections = vtk.vtkIdTypeArray(), vtk.vtkCollection()
    rows.InsertNextValue(30)
    selections.AddItem(rows)
    view.dataSelected.emit(vtk.vtkStringArray(), selections)
    position, _ = columns(chart().GetNthPlotSeriesNode(0))
    red = slicer.util.getNode("vtkMRMLSliceNodeRed").GetSliceOffset()
    assert red == pytest.approx(position[30], abs=1e-3)


def test_the_joint_histogram_holds_every_voxel_once(measures):
    choose(measures, "joint")
    tables = [chart().GetNthPlotSeriesNode(index).GetTableNode() for index in range(chart().GetNumberOfPlotSeriesNodes())]
    shares = [slicer.util.arrayFromTableColumn(table, "percent of voxels") for table in tables if table.GetNumberOfRows()]
    assert sum(share.sum() for share in shares) == pytest.approx(100)


def test_the_distribution_is_charted_and_a_second_look_makes_no_second_nodes(measures):
    choose(measures, "distribution")
    error, share = columns(chart().GetNthPlotSeriesNode(0))
    assert share.sum() == pytest.approx(100)
    assert (error[0], error[-1]) == (-590, 590)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    measures.ui.chartButton.click()
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    measures.ui.chartButton.click()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_deleting_the_synthetic_volume_takes_its_charts_with_it(measures):
    choose(measures, "joint")
    slicer.mrmlScene.RemoveNode(measures.parameters.syntheticVolume)
    for kind in ("vtkMRMLTableNode", "vtkMRMLPlotSeriesNode", "vtkMRMLPlotChartNode"):
        assert not slicer.util.getNodesByClass(kind)


def test_the_table_is_written_as_csv(slicer_host, measures, tmp_path):
    slicer_host.user.answers.append(tmp_path / "measures.csv")
    measures.ui.tableButton.click()
    assert (tmp_path / "measures.csv").read_text() == "region,MAE,SSIM\nbrain,0.05,0.9\ncsf,0.1,\n"
    assert "measures.csv" in measures.panel.ui.messageLabel.text


def test_the_report_is_written_as_one_page(slicer_host, measures, tmp_path):
    slicer_host.user.answers.append(tmp_path / "report.html")
    measures.ui.reportButton.click()
    page = (tmp_path / "report.html").read_text()
    assert "T2 from T1: Head" in page
    assert "data:image/png;base64" in page
    assert "Against the real image" in page


def test_a_report_without_the_t1_that_it_shows_is_refused_in_a_sentence(slicer_host, measures, head, tmp_path):
    slicer.mrmlScene.RemoveNode(head)
    slicer_host.user.answers.append(tmp_path / "report.html")
    measures.ui.reportButton.click()
    assert "The T1 volume of 'Head SYNTHETIC T2' is no longer there." in measures.panel.ui.messageLabel.text
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_told_in_the_panel(slicer_host, measures, tmp_path):
    slicer_host.user.answers.append(tmp_path / "missing" / "sub" / "measures.csv")
    (tmp_path / "missing").write_text("a file, no folder")
    measures.ui.tableButton.click()
    assert "color" in measures.panel.ui.messageLabel.styleSheet
    assert not slicer_host.user.messages


def test_a_cancelled_file_dialog_writes_nothing(slicer_host, measures, tmp_path):
    slicer_host.user.answers.append("")
    measures.ui.reportButton.click()
    assert "Written" not in measures.panel.ui.messageLabel.text


def test_views_that_the_chart_made_are_right_for_the_comparison_too(measures, results):
    choose(measures, "slices")
    section(results, "ViewingSection").ui.compareButton.click()
    for plane in ("Axial", "Coronal", "Sagittal"):
        node = slicer.app.layoutManager().sliceWidget(f"T1T2Synthetic{plane}").mrmlSliceNode()
        assert node.GetOrientation() == plane
        assert node.GetViewGroup() == slicer.app.layoutManager().sliceWidget(f"T1T2T1{plane}").mrmlSliceNode().GetViewGroup()
