"""Off-screen slice views show real pixels: the volume, the error map in its colours, the legend."""

import numpy as np
import pytest


@pytest.fixture
def an_error_map(a_volume_node):
    """The volume's brightness again, in Inferno's colours."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Error")
    node.CopyOrientation(a_volume_node)
    slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(a_volume_node))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeFileInferno.txt")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 700)
    return node


def coloured(pixels):
    """How many pixels are not grey."""
    return int((np.ptp(pixels.astype(int), axis=-1) > 20).sum())


@pytest.mark.parametrize("orientation", ["Axial", "Coronal", "Sagittal"])
def test_a_slice_view_shows_the_volume_in_grey(a_volume_node, tmp_path, orientation):
    from Host.slice_view import render_slice_view

    pixels = render_slice_view(tmp_path / "view.png", orientation, a_volume_node, size=(120, 90))
    assert pixels.shape == (90, 120, 3)
    assert (tmp_path / "view.png").stat().st_size > 100
    assert len(np.unique(pixels)) > 10
    assert coloured(pixels) == 0


def test_the_overlay_shows_its_colours_as_far_as_it_is_opaque(a_volume_node, an_error_map):
    from Host.slice_view import render_slice_view

    shown, hidden = (
        render_slice_view(None, "Axial", a_volume_node, an_error_map, opacity, size=(120, 90)) for opacity in (0.8, 0.0)
    )
    assert coloured(shown) > 500
    assert coloured(hidden) == 0


def test_the_legend_is_drawn(a_volume_node, an_error_map):
    import slicer

    from Host.slice_view import render_slice_view

    without = render_slice_view(None, "Axial", a_volume_node, an_error_map, 0.0, size=(300, 300))
    slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(an_error_map)
    with_legend = render_slice_view(None, "Axial", a_volume_node, an_error_map, 0.0, size=(300, 300))
    assert coloured(with_legend) > coloured(without)


def test_a_view_of_the_layout_shows_what_the_module_set(a_volume_node, an_error_map):
    import slicer

    from Host.slice_view import render_view

    slicer.util.setSliceViewerLayers(background=a_volume_node, foreground=an_error_map, foregroundOpacity=0.5, fit=True)
    assert coloured(render_view(None, "Green", size=(120, 90))) > 500


def test_a_picture_leaves_the_scene_as_it_was(a_volume_node):
    import slicer

    from Host.slice_view import render_slice_view

    before = slicer.mrmlScene.GetNumberOfNodes()
    render_slice_view(None, "Axial", a_volume_node, size=(60, 60))
    assert slicer.mrmlScene.GetNumberOfNodes() == before
