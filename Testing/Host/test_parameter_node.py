"""Typed parameters live in a real parameter node and follow the widgets."""

import enum
from typing import Annotated

import pytest


class Plane(enum.Enum):
    AXIAL = 1
    CORONAL = 2


@pytest.fixture
def node(slicer_host):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


@pytest.fixture
def wrapper(node):
    from slicer import vtkMRMLScalarVolumeNode
    from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

    class Parameters:
        pass

    Parameters.__annotations__ = {
        "volume": vtkMRMLScalarVolumeNode | None,
        "opacity": Annotated[float, WithinRange(0, 1)],
        "device": Annotated[str, Choice(["auto", "cpu"])],
        "plane": Plane,
        "count": int,
        "on": bool,
    }
    Parameters.opacity, Parameters.device = 0.5, "auto"
    return parameterNodeWrapper(Parameters)


def test_values_survive_in_the_node(wrapper, node, a_volume_node):
    parameters = wrapper(node)
    parameters.volume, parameters.opacity, parameters.plane = a_volume_node, 0.25, Plane.CORONAL
    again = wrapper(node)
    assert (again.volume, again.opacity, again.plane, again.count, again.on) == (a_volume_node, 0.25, Plane.CORONAL, 0, False)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("opacity", 2.0, ValueError), ("device", "gpu", ValueError), ("count", 1.5, TypeError), ("on", None, ValueError)],
)
def test_a_value_that_does_not_belong_is_refused(wrapper, node, name, value, error):
    parameters = wrapper(node)
    with pytest.raises(error):
        setattr(parameters, name, value)


def test_a_saved_value_outside_a_later_choice_raises_on_load(wrapper, node):
    wrapper(node)
    node.SetParameter("device", "tpu")
    with pytest.raises(ValueError, match="tpu"):
        wrapper(node)


def test_a_removed_node_leaves_none(wrapper, node, a_volume_node):
    parameters = wrapper(node)
    parameters.volume = a_volume_node
    a_volume_node.GetScene().RemoveNode(a_volume_node)
    assert parameters.volume is None


def named(widget, parameter):
    widget.setProperty("SlicerParameterName", parameter)
    return widget


class Ui:
    def __init__(self, **widgets):
        vars(self).update(widgets)


def test_gui_and_parameters_follow_each_other_until_disconnected(wrapper, node):
    import ctk
    import qt

    ui = Ui(
        slider=named(ctk.ctkSliderWidget(), "opacity"),
        box=named(qt.QComboBox(), "device"),
        plane=named(qt.QComboBox(), "plane"),
        check=named(qt.QCheckBox(), "on"),
    )
    parameters = wrapper(node)
    tag = parameters.connectParametersToGui({"opacity": ui.slider, "device": ui.box, "plane": ui.plane, "on": ui.check})
    assert (ui.slider.value, ui.slider.maximum, ui.box.count, ui.plane.currentText) == (0.5, 1.0, 2, "AXIAL")
    parameters.opacity = 0.25
    ui.box.setCurrentIndex(1)
    ui.check.click()
    assert (ui.slider.value, parameters.device, parameters.on) == (0.25, "cpu", True)
    parameters.disconnectGui(tag)
    ui.check.click()
    assert parameters.on is True


def test_what_connect_gui_tied_cannot_be_untied(wrapper, node):
    import qt

    ui = Ui(check=named(qt.QCheckBox(), "on"))
    parameters = wrapper(node)
    tag = parameters.connectGui(ui)
    assert tag is None
    parameters.disconnectGui(tag)
    ui.check.click()
    assert parameters.on is True


def test_values_are_remembered_until_the_node_says_that_it_changed(wrapper, node):
    parameters, was = wrapper(node), node.GetDisableModifiedEvent()
    node.SetDisableModifiedEvent(True)
    node.SetParameter("opacity", "0.75")
    node.SetDisableModifiedEvent(was)
    assert parameters.opacity == 0.5
    node.Modified()
    assert parameters.opacity == 0.75


def test_a_parameter_name_that_does_not_exist_is_refused(wrapper, node):
    import qt

    with pytest.raises(ValueError, match="opactiy"):
        wrapper(node).connectGui(Ui(box=named(qt.QCheckBox(), "opactiy")))


def test_a_widget_without_a_connector_is_refused(wrapper, node):
    import qt

    with pytest.raises(RuntimeError, match="connector"):
        wrapper(node).connectGui(Ui(bar=named(qt.QProgressBar(), "count")))


def test_a_derived_widget_class_has_no_connector(wrapper, node):
    import qt

    class MyCheckBox(qt.QCheckBox):
        pass

    with pytest.raises(RuntimeError, match="connector"):
        wrapper(node).connectGui(Ui(box=named(MyCheckBox(), "on")))


def test_a_union_of_two_node_types_is_refused(slicer_host):
    from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLSegmentationNode
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    cls = type("P", (), {"__annotations__": {"mask": vtkMRMLLabelMapVolumeNode | vtkMRMLSegmentationNode | None}})
    with pytest.raises(TypeError):
        parameterNodeWrapper(cls)
