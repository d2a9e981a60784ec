"""What the display node of a result looks like: window, colours, and nothing where the error is below the threshold."""

import slicer
from T1T2TranslationLib.colors import SIZE, overlay_table
from T1T2TranslationLib.layers import LOOKS

_COLORS = "T1T2.Colors"  # attribute of a table: the kind of error map that it colours
_LARGEST = 32767


def nodeClass(key):
    """What a node must be to show a kind of result."""
    return "vtkMRMLVectorVolumeNode" if key == "lens" else "vtkMRMLScalarVolumeNode"


def setLook(node):
    """Window and colours of a new result; the attribute "T1T2.Kind" says what it shows."""
    key = node.GetAttribute("T1T2.Kind")
    display = node.GetVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*LOOKS[key].window)
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
