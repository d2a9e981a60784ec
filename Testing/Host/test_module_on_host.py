"""A scripted module runs on the host: its panel, its parameter node, its self-test."""

import pytest

from Host.example import write_example


@pytest.fixture
def panel(slicer_host, tmp_path):
    module = slicer_host.load_module(write_example(tmp_path))
    return slicer_host.open_panel(module)


def test_a_press_of_the_real_button_reaches_the_module(panel):
    panel.ui.applyButton.click()
    assert panel.applied == 1
    assert panel.ui.progressBar.value == 40


def test_the_selector_follows_the_scene_and_the_parameter_follows_the_selector(panel, a_volume_node):
    panel.ui.inputSelector.setCurrentNode(a_volume_node)
    assert panel.parameterNode.inputVolume is a_volume_node
    import slicer

    slicer.mrmlScene.RemoveNode(a_volume_node)
    assert panel.ui.inputSelector.currentNode() is None
    assert panel.parameterNode.inputVolume is None


def test_widgets_follow_the_parameters(panel):
    panel.parameterNode.opacity = 0.25
    panel.parameterNode.device = "cpu"
    panel.parameterNode.showLegend = False
    assert panel.ui.opacitySlider.value == 0.25
    assert panel.ui.deviceComboBox.currentText == "cpu"
    assert not panel.ui.legendCheckBox.checked


def test_the_sample_data_is_registered_after_startup(panel):
    from Host.modules import registered_sample_data

    assert registered_sample_data[0]["sampleName"] == "One"


def test_a_panel_opens_without_main_window_in_a_foreign_scene(no_main_window, tmp_path):
    module = no_main_window.load_module(write_example(tmp_path))
    scene = no_main_window.use_foreign_scene()
    panel = no_main_window.open_panel(module)
    assert panel.ui.inputSelector.mrmlScene() is scene


def test_a_closed_button_hides_its_contents_and_shows_no_more_than_before(panel):
    panel.ui.legendCheckBox.hide()
    panel.ui.inputsButton.collapsed = True
    assert not panel.ui.inputSelector.visible
    panel.ui.inputsButton.collapsed = False
    assert panel.ui.inputSelector.visible
    assert not panel.ui.legendCheckBox.visible


def test_closing_the_scene_leaves_the_panel_alive(panel, a_volume_node):
    import slicer

    panel.ui.inputSelector.setCurrentNode(a_volume_node)
    slicer.mrmlScene.Clear(0)
    assert panel.ui.inputSelector.currentNode() is None


def test_a_restart_forgets_modules_and_connections(slicer_host, panel, tmp_path):
    import slicer

    from Host.modules import registered_sample_data

    slicer_host.restart()
    assert not hasattr(slicer.modules, "example")
    slicer_host.load_module(tmp_path / "Example.py")
    assert len(registered_sample_data) == 1


def test_the_self_test_runs(slicer_host, tmp_path):
    module = slicer_host.load_module(write_example(tmp_path))
    module.ExampleTest().runTest()
