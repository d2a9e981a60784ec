"""What the module `slicer` shows: application, scene, selectors, messages."""

import sys

import numpy as np
import pytest


@pytest.fixture
def selector(slicer_host):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    yield selector
    selector.delete()


def test_functions_of_util_are_not_in_slicer_itself(slicer_host):
    import slicer

    assert not hasattr(slicer, "arrayFromVolume")
    assert hasattr(slicer.util, "arrayFromVolume")


def test_a_scene_starts_empty_in_every_test(slicer_host):
    import slicer

    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")


test_a_scene_starts_empty_in_every_test_too = test_a_scene_starts_empty_in_every_test


def test_there_are_three_slice_views(slicer_host, a_volume_node):
    import slicer

    manager = slicer.app.layoutManager()
    slicer.util.setSliceViewerLayers(background=a_volume_node, foreground=a_volume_node, foregroundOpacity=0.4)
    for name in manager.sliceViewNames():
        composite = manager.sliceWidget(name).mrmlSliceCompositeNode()
        assert composite.GetBackgroundVolumeID() == a_volume_node.GetID()
        assert composite.GetForegroundOpacity() == pytest.approx(0.4)
    slicer.util.resetSliceViews()


def test_without_main_window_there_is_no_layout_manager(no_main_window):
    import slicer

    assert slicer.app.layoutManager() is None
    assert slicer.util.mainWindow() is None
    assert slicer.app.testingEnabled()


def test_in_testing_mode_a_question_is_answered_no(no_main_window):
    import slicer

    assert slicer.util.confirmOkCancelDisplay("Overwrite?") is False
    with pytest.raises(RuntimeError), slicer.util.tryWithErrorDisplay("Failed."):
        raise RuntimeError("boom")


def test_the_user_sees_errors_and_answers_questions(slicer_host):
    import slicer

    slicer.util.errorDisplay("No volume.")
    slicer_host.user.answers.append("OK")
    assert slicer.util.confirmOkCancelDisplay("Overwrite?") is True
    assert [text for _, text in slicer_host.user.messages] == ["No volume.", "Overwrite?"]


def test_a_foreign_scene_can_be_set(slicer_host, selector, a_volume_node):
    import slicer

    scene = slicer_host.use_foreign_scene()
    assert slicer.mrmlScene is scene
    assert slicer.app.mrmlScene() is scene


def test_a_selector_takes_exactly_its_node_type(selector, a_volume_node):
    import slicer

    label_map = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert selector.nodeCount() == 2
    selector.showChildNodeTypes = False
    assert selector.nodeCount() == 1
    selector.setCurrentNode(label_map)
    assert selector.currentNode() is None


def test_a_selector_tells_of_its_node_by_signature(selector, a_volume_node):
    nodes, ids, valid = [], [], []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", nodes.append)
    selector.connect("currentNodeIDChanged(QString)", ids.append)
    selector.connect("currentNodeChanged(bool)", valid.append)
    selector.currentNodeID = a_volume_node.GetID()
    a_volume_node.GetScene().RemoveNode(a_volume_node)
    assert (nodes, ids, valid) == ([a_volume_node, None], ["vtkMRMLScalarVolumeNode1", ""], [True, False])


def test_a_selector_without_none_shows_the_first_node(selector, a_volume_node):
    selector.noneEnabled = False
    assert selector.currentNode() is a_volume_node


def test_volumes_are_real(a_volume_node):
    import slicer

    slicer.util.updateVolumeFromArray(a_volume_node, np.zeros((23, 19, 17), np.int16))
    assert slicer.util.arrayFromVolume(a_volume_node).max() == 0
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert hierarchy.CreateItem(hierarchy.GetSceneItemID(), a_volume_node) != 0


def test_an_unknown_module_is_not_there(slicer_host):
    import slicer

    with pytest.raises(AttributeError, match="segmenteditor"):
        slicer.modules.segmenteditor  # noqa: B018


def test_nothing_is_installed(slicer_host):
    import slicer

    with pytest.raises(AssertionError):
        slicer.util.pip_install("torch")


def test_the_application_has_no_console(slicer_host):
    import slicer

    with pytest.raises(AttributeError):
        slicer.app.pythonConsole()


@pytest.mark.parametrize("name", ["ScriptedLoadableModule", "i18n", "parameterNodeWrapper", "util"])
def test_a_base_module_has_no_name_that_slicers_lacks(slicer_host, name):
    import slicer

    from Host.api import read_api

    module = getattr(slicer, name)
    names = {key for key, value in vars(module).items() if callable(value) and not key.startswith("_") and key != "Path"}
    assert names
    assert names <= set(read_api()["modules"][f"slicer.{name}"])


def test_every_stand_in_is_known_to_a_real_slicer(slicer_host):
    from Host.api import is_shown

    for module_name in ("qt", "ctk"):
        names = [name for name in vars(sys.modules[module_name]) if not name.startswith("__")]
        assert names
        assert all(is_shown(module_name, name) for name in names)
