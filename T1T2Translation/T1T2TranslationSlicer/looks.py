"""What the display node of a result looks like: window, colours, and nothing where the error is below the threshold."""

import json

import slicer
from T1T2TranslationLib.colors import SIZE, overlay_table
from T1T2TranslationLib.layers import LOOKS, BrightnessMatch, read_match

_COLORS = "T1T2.Colors"  # attribute of a table: the kind of error map that it colours
_MATCH = "T1T2.BrightnessMatch"  # attribute of a synthetic volume while its window is a matched one
_LARGEST = 32767


def nodeClass(key):
    """What a node must be to show a kind of result."""
    return "vtkMRMLVectorVolumeNode" if key == "lens" else "vtkMRMLScalarVolumeNode"


def setLook(node):
    """Window and colours of a new result; the attribute "T1T2.Kind" says what it shows."""
    key = node.GetAttribute("T1T2.Kind")
    display = node.GetVolumeDisplayNode()
    _setWindow(display, LOOKS[key].window)
    if LOOKS[key].title:
        table = _existing(key)
        display.SetAndObserveColorNodeID((table or _newTable(key)).GetID())


def setThreshold(node, threshold):
    """Show only errors from the threshold on (in the unit of the synthetic image), in views and legend."""
    key, display = node.GetAttribute("T1T2.Kind"), node.GetVolumeDisplayNode()
    table = display.GetColorNode()
    if table is not None and table.GetAttribute(_COLORS) == key:  # else the user chose another
        _fill(table, key, threshold)
    if not LOOKS[key].is_signed:  # a signed map has no lower end to cut off: its table does it alone, to 3 units
        display.SetThreshold(max(threshold, 1), _LARGEST)
        display.SetApplyThreshold(True)


def matchOf(node):
    """How the brightness of a volume is matched to its real one, a `layers.BrightnessMatch`; None where it is not."""
    return read_match(node.GetAttribute(_MATCH))


def match(node, gain, offset):
    """Window a synthetic volume as bright as its real one; the window of before is remembered in the node."""
    display = node.GetVolumeDisplayNode()
    found = BrightnessMatch(gain, offset, display.GetWindowLevelMin(), display.GetWindowLevelMax())
    node.SetAttribute(_MATCH, json.dumps(found))
    _setWindow(display, found.window)


def unmatch(node):
    """Give a synthetic volume the window back that it had before `match`."""
    found = matchOf(node)
    node.RemoveAttribute(_MATCH)
    _setWindow(node.GetVolumeDisplayNode(), (found.low, found.high))


def _setWindow(display, window):
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*window)


def _existing(key):
    """One table serves all error maps of a kind in a scene: the threshold is the scene's, too."""
    tables = slicer.util.getNodesByClass("vtkMRMLColorTableNode")
    return next((table for table in tables if table.GetAttribute(_COLORS) == key), None)


def _newTable(key):
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", f"T1T2 {LOOKS[key].title}")
    table.SetAttribute(_COLORS, key)
    table.SetTypeToUser()
    table.SetNumberOfColors(SIZE)
    _fill(table, key, 0)
    return table


def _fill(table, key, threshold):
    with slicer.util.NodeModify(table):
        for index, color in enumerate(overlay_table(LOOKS[key].colors, LOOKS[key].window, threshold) / 255):
            table.SetColor(index, *(float(level) for level in color))
