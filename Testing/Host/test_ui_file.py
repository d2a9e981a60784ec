"""A .ui file is loaded whole, or refused."""

import pytest

from Host.example import UI


@pytest.fixture
def load(slicer_host, tmp_path):
    import slicer

    def load_text(text):
        (tmp_path / "Example.ui").write_text(text)
        return slicer.util.loadUI(str(tmp_path / "Example.ui"))

    return load_text


def test_the_scene_reaches_the_selectors_through_the_files_connections(load, a_volume_node):
    import slicer

    widget = load(UI)
    ui = slicer.util.childWidgetVariables(widget)
    widget.setMRMLScene(slicer.mrmlScene)
    assert ui.inputSelector.nodeCount() == 1
    assert ui.inputSelector.property("SlicerParameterName") == "inputVolume"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('class="QProgressBar"', 'class="QProgresBar"'),
        ('name="showChildNodeTypes"', 'name="showChildTypes"'),
        ("<slot>setMRMLScene(vtkMRMLScene*)</slot>", "<slot>setScene(vtkMRMLScene*)</slot>"),
        ("<signal>mrmlSceneChanged(vtkMRMLScene*)</signal>", "<signal>sceneChanged(vtkMRMLScene*)</signal>"),
        ("<receiver>inputSelector</receiver>", "<receiver>outputSelector</receiver>"),
        ("<class>ctkSliderWidget</class>", "<class>ctkSlider</class>"),
        ('name="SlicerParameterName" stdset="0"', 'name="SlicerParameterName"'),
    ],
)
def test_what_slicer_would_drop_silently_is_refused(load, right, wrong):
    from Host.ui_file import UnknownInUi

    assert right in UI
    with pytest.raises(UnknownInUi):
        load(UI.replace(right, wrong, 1))
