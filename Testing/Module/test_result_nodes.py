"""What was made is found again when its input comes back, stays the user's where copied, and goes without a trace on deletion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
from Module.conftest import section
from T1T2TranslationLib import samples


def make(panel, node, with_reference=False, model="phantom"):
    """A translation of `node` in the panel, without a network; returns the synthetic volume's node."""
    translation = samples.phantom_translation(panel.logic.volumes(node)["volume"], with_reference)
    translation = dataclasses.replace(translation, provenance=translation.provenance | {"model": model})
    panel._parameterNode.inputVolume = panel._inputOfJob = node
    panel.onDone(translation)
    return panel._parameterNode.syntheticVolume


def shown() -> str:
    return slicer.mrmlScene.GetNodeByID(slicer.util.getNode("vtkMRMLSliceCompositeNodeRed").GetBackgroundVolumeID()).GetName()


@pytest.fixture
def other(slicer_host):
    """A second volume node."""
    phantom = samples.phantom(spacing_mm=(4.0, 4.0, 4.0))
    return slicer.util.addVolumeFromArray(phantom.array.transpose(2, 1, 0), phantom.affine, "Other")


# ---- found again


def test_one_volume_then_another_then_the_first_again_makes_no_new_nodes(ready, head, other):
    first = make(ready, head, with_reference=True)
    make(ready, other)
    count = slicer.mrmlScene.GetNumberOfNodes()
    second = slicer.util.arrayFromVolume(ready._parameterNode.syntheticVolume).copy()
    slicer.util.arrayFromVolume(first)[:] = 0
    assert make(ready, head, with_reference=True) is first
    assert slicer.util.arrayFromVolume(first).any()
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(make(ready, other)), second)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_a_volume_that_is_chosen_again_brings_its_results_back_into_panel_and_views(ready, head, other):
    first = make(ready, head, with_reference=True)
    errors = [ready._parameterNode.getValue(f"{key}Volume") for key in ("predictedError", "absoluteError", "signedError")]
    second = make(ready, other)
    assert ready._parameterNode.absoluteErrorVolume is None
    assert shown() == second.GetName()
    ready.ui.inputSelector.setCurrentNode(head)
    chosen = ready._parameterNode
    assert chosen.syntheticVolume is first
    assert [chosen.predictedErrorVolume, chosen.absoluteErrorVolume, chosen.signedErrorVolume] == errors
    assert shown() == first.GetName()
    assert section(ready, "ViewingSection").ui.overlaySelector.count == 3
    assert section(ready, "RecordSection").result is first
    assert ready.ui.resultsCollapsibleButton.text == "Results of 'Head' by phantom"
    ready.ui.inputSelector.setCurrentNode(other)
    assert chosen.syntheticVolume is second


def test_a_panel_that_opens_changes_no_view_though_there_are_results(slicer_host, module, head):
    translation = samples.phantom_translation(module.T1T2TranslationLogic().volumes(head)["volume"])
    module.result_nodes.store(translation, head)  # as a batch does
    slicer.util.setSliceViewerLayers(background=head)
    panel = slicer_host.open_panel(module)
    assert panel._parameterNode.inputVolume is head
    assert shown() == "Head"
    assert panel.ui.resultsCollapsibleButton.text == "Results of 'Head' by phantom"
    assert section(panel, "ViewingSection").ui.overlaySelector.currentText == "Predicted error"


def test_the_panel_says_whose_results_it_shows_when_another_volume_is_chosen(ready, head, other):
    first = make(ready, head)
    ready.ui.inputSelector.setCurrentNode(other)
    assert ready._parameterNode.syntheticVolume is first
    assert ready.ui.resultsCollapsibleButton.text == "Results of 'Head', not of the chosen volume"


def test_of_two_models_the_chosen_ones_result_comes_back_else_the_youngest(ready, head, other):
    results = {model: make(ready, head, model=model) for model in ("phantom", "t2_to_t1")}
    results["t2_to_t1"].SetAttribute(
        "T1T2.Provenance", results["t2_to_t1"].GetAttribute("T1T2.Provenance").replace("2026-01-01", "2026-02-02")
    )
    for model, wanted in (("phantom", "phantom"), ("t2_to_t1", "t2_to_t1"), ("t1_to_t2", "t2_to_t1")):
        make(ready, other)
        ready._parameterNode.model = model
        ready.ui.inputSelector.setCurrentNode(head)
        assert ready._parameterNode.syntheticVolume is results[wanted], model


def test_the_lens_of_a_result_comes_back_with_it(ready, head, other):
    make(ready, head)
    ready._parameterNode.lensStrength = 0.8
    lens = ready._parameterNode.lensVolume
    make(ready, other)
    assert ready._parameterNode.lensVolume is not lens
    ready.ui.inputSelector.setCurrentNode(head)
    assert ready._parameterNode.lensVolume is lens


def test_a_users_copy_is_never_found_nor_written(ready, head):
    first = make(ready, head)
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
    copy.Copy(first)
    kept = slicer.util.arrayFromVolume(copy).copy()
    assert make(ready, head) is first
    slicer.mrmlScene.RemoveNode(first)
    assert make(ready, head) is not copy
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(copy), kept)


@pytest.mark.parametrize("spoilt", ["{broken", '{"model": "phantom"}', "[]"])
def test_a_record_that_a_scene_file_spoilt_is_no_record_and_stops_nothing(slicer_host, ready, head, other, spoilt):
    first = make(ready, head, with_reference=True)
    first.SetAttribute("T1T2.Provenance", spoilt)
    first.SetAttribute("T1T2.Segments", spoilt)
    ready.update()
    assert not ready.ui.resultsCollapsibleButton.visible
    assert section(ready, "RecordSection").result is not first
    assert section(ready, "MeasuresSection").metrics() == {}
    second = make(ready, other)
    ready._parameterNode.model = "none"
    ready.ui.inputSelector.setCurrentNode(head)
    ready._parameterNode.referenceVolume = other
    assert ready._parameterNode.syntheticVolume is second  # what cannot be read is not found
    assert ready.ui.resultsCollapsibleButton.visible


# ---- undone


def scene_now() -> dict:
    """Every node with the nodes that it refers to, and how many items the subject hierarchy has."""
    nodes = slicer.util.getNodesByClass("vtkMRMLNode")
    found = {}
    for node in nodes:
        roles = [node.GetNthNodeReferenceRole(index) for index in range(node.GetNumberOfNodeReferenceRoles())]
        references = {
            role: [node.GetNthNodeReferenceID(role, index) for index in range(node.GetNumberOfNodeReferences(role))]
            for role in roles
        }
        found[node.GetID()] = node.GetClassName(), {role: ids for role, ids in references.items() if ids}
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return {"nodes": found, "items": hierarchy.GetNumberOfItems()}


@pytest.mark.parametrize("order", ["synthetic first", "synthetic last"])
def test_deleting_the_outputs_leaves_the_scene_as_it_was_before_apply(ready, head, order):
    turned = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    head.SetAndObserveTransformNodeID(turned.GetID())
    segments = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Brain")
    slicer.util.setSliceViewerLayers(background=head, fit=True)
    ready._parameterNode.maskNode = ready._maskOfJob = segments
    before = scene_now()
    make(ready, head, with_reference=True)
    ready._parameterNode.lensStrength = 0.8
    assert scene_now() != before
    outputs = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if node is not head]
    assert len(outputs) == 6
    for node in outputs if order == "synthetic first" else outputs[::-1]:
        if slicer.mrmlScene.IsNodePresent(node):  # the lens goes with the synthetic volume
            slicer.mrmlScene.RemoveNode(node)
    assert scene_now() == before
    assert shown() == "Head"
