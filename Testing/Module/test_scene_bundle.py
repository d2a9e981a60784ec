"""A scene saved as one file (.mrb) and read again: choices, results, links, provenance and colours are as they were."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from Module.conftest import section
from Module.test_nodes import a_segmentation
from Module.test_region_of_interest import a_box
from T1T2TranslationLib import samples

CHOICES = ("inputVolume", "maskNode", "regionNode", "referenceVolume")
LAYERS = ("synthetic", "predictedError", "absoluteError", "signedError", "alignedReference", "lens")
ROLES = ("T1T2.Input", "T1T2.Mask", "T1T2.Region", "T1T2.Reference", "T1T2.Lens")


def results_now(parameters) -> dict:
    """Of each result: voxels, place, links by name, record, window and colours."""
    found = {}
    for key in LAYERS:
        node = parameters.getValue(f"{key}Volume")
        display = node.GetVolumeDisplayNode()
        table = display.GetColorNode()  # none: grey
        links = {role: node.GetNodeReference(role) and node.GetNodeReference(role).GetName() for role in ROLES}
        attributes = {name: node.GetAttribute(name) for name in node.GetAttributeNames() if name.startswith("T1T2.")}
        colors = table and [tuple(np.round(table.GetLookupTable().GetTableValue(index), 2)) for index in (0, 40, 128, 255)]
        window = display.GetWindowLevelMin(), display.GetWindowLevelMax(), display.GetLowerThreshold()
        found[key] = (
            node.GetName(),
            links,
            attributes,
            table and table.GetName(),
            colors,
            window,
            slicer.util.arrayFromVolume(node).tolist(),
        )
    return found


@pytest.fixture
def whole(slicer_host, ready, head):
    """The panel with everything chosen and a result of it, the lens switched on."""
    t2 = samples.phantom("T2")
    real = slicer.util.addVolumeFromArray(t2.array.transpose(2, 1, 0), t2.affine, "Real")
    box = a_box(name="Box")
    small = slicer.util.addVolumeFromArray(np.zeros((23, 19, 17), np.int16), np.eye(4), "Small")
    brain = a_segmentation(small)
    chosen = ready._parameterNode
    chosen.referenceVolume, chosen.maskNode, chosen.regionNode, chosen.model = real, brain, box, "t2_to_t1"
    ready._inputOfJob, ready._referenceOfJob, ready._maskOfJob, ready._regionOfJob = head, real, brain, box
    ready.onDone(samples.phantom_translation(ready.logic.volumes(head)["volume"], with_reference=True))
    chosen.errorThreshold, chosen.lensStrength = 150, 0.5
    return ready


def test_a_bundle_brings_back_choices_results_links_provenance_and_colours(slicer_host, whole, tmp_path):
    before, path = results_now(whole._parameterNode), str(tmp_path / "scene.mrb")
    names = [whole._parameterNode.getValue(name).GetName() for name in CHOICES]
    title = whole.ui.resultsCollapsibleButton.text
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear()
    assert whole._parameterNode.syntheticVolume is None
    assert slicer.mrmlScene.ReadFromMRB(path, True)
    slicer_host.process_events()
    chosen = whole._parameterNode
    assert [chosen.getValue(name).GetName() for name in CHOICES] == names
    assert (chosen.model, chosen.device, chosen.errorThreshold, chosen.lensStrength) == ("t2_to_t1", "cpu", 150, 0.5)
    assert results_now(chosen) == before
    assert whole.ui.resultsCollapsibleButton.text == title
    assert whole.ui.regionSelector.currentNode() is chosen.regionNode
    assert chosen.regionNode.GetSize() == (7.0, 9.0, 22.0)
    assert section(whole, "RecordSection").result is chosen.syntheticVolume

    count, first = slicer.mrmlScene.GetNumberOfNodes(), chosen.syntheticVolume
    whole._inputOfJob = chosen.inputVolume
    whole.onDone(samples.phantom_translation(whole.logic.volumes(chosen.inputVolume)["volume"], with_reference=True))
    assert chosen.syntheticVolume is first  # its own again, also after the scene was read
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_a_scene_that_is_added_to_another_brings_results_that_are_still_found_and_copies_that_are_not(
    slicer_host, ready, head, tmp_path
):
    from T1T2TranslationSlicer import nodes, result_nodes

    ready._inputOfJob, path = head, str(tmp_path / "scene.mrb")
    ready.onDone(samples.phantom_translation(ready.logic.volumes(head)["volume"]))
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
    copy.Copy(ready._parameterNode.syntheticVolume)
    copy.SetName("Mine")
    made_before = ready._parameterNode.syntheticVolume.GetID()
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear()
    for name in ("Here", "Also here", "And here"):
        slicer.util.addVolumeFromArray(np.zeros((4, 4, 4), np.int16), np.eye(4), name)
    assert slicer.mrmlScene.ReadFromMRB(path, False)
    slicer_host.process_events()
    found = result_nodes.outputsOf(slicer.util.getNode("Head"), "phantom")
    assert {key: node.GetName() for key, node in found.items()} == {
        "synthetic": "Head SYNTHETIC T2",
        "predictedError": "Head SYNTHETIC T2 predicted error",
    }
    assert found["synthetic"].GetID() != made_before  # renumbered, since the place was taken
    mine = slicer.util.getNode("Mine")
    assert not nodes.isOutput(mine)
    assert mine.GetNodeReference("T1T2.Output") is found["synthetic"]
