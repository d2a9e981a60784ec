"""The compare layout: T1, synthetic T2 and reference (or error) in columns, three planes in rows, moving together."""

import slicer
from slicer.i18n import tr as _

LAYOUT = 7412  # our own number; Slicer's built-in ones are below 100
CHART_LAYOUT = 7413  # see charts.py
OUR_LAYOUTS = (LAYOUT, CHART_LAYOUT)
VIEW_GROUP = 12  # linked with each other, not with the views of other layouts
COLUMNS = ("T1", "Synthetic", "Reference")
PLANES = {"Axial": "#F34A33", "Coronal": "#6EB04B", "Sagittal": "#EDD54C"}  # as Slicer colours them

_VIEW = """<item><view class="vtkMRMLSliceNode" singletontag="{name}">
<property name="orientation" action="default">{plane}</property>
<property name="viewlabel" action="default">{label}</property>
<property name="viewcolor" action="default">{color}</property>
<property name="viewgroup" action="default">{group}</property>
</view></item>"""


def viewName(column, plane):
    """The layout name of the view in a column ("T1", "Synthetic", "Reference") and a row ("Axial", ...)."""
    return f"T1T2{column}{plane}"


VIEWS = {viewName(column, plane): column for column in COLUMNS for plane in PLANES}


def register():
    """Tell the layout node of our layout, so that also a saved scene can come back to it; nothing without a main window."""
    node = _layoutNode()
    if node is not None and not node.IsLayoutDescription(LAYOUT):
        node.AddLayoutDescription(LAYOUT, _description())


def current():
    """The number of the layout that is shown; None without a main window."""
    node = _layoutNode()
    return None if node is None else node.GetViewArrangement()


def show(parameters):
    """Arrange the nine views, link them, and remember what was there in the parameter node."""
    register()
    enter(LAYOUT, parameters)
    _crosshair().SetCrosshairMode(slicer.vtkMRMLCrosshairNode.ShowBasic)
    for composite in _composites():
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)


def enter(layout, parameters):
    """Change to one of our layouts, remembering what was there in the parameter node."""
    node = _layoutNode()
    if node.GetViewArrangement() not in OUR_LAYOUTS:
        parameters.layoutBefore, parameters.crosshairBefore = node.GetViewArrangement(), _crosshair().GetCrosshairMode()
    node.SetViewArrangement(layout)


def hide(parameters):
    """Back to the layout and the crosshair that were there before."""
    _crosshair().SetCrosshairMode(parameters.crosshairBefore)
    _layoutNode().SetViewArrangement(parameters.layoutBefore or slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def fit():
    """Show the whole head in every view, all through one point: the middle of the first view's volume."""
    widgets = [slicer.app.layoutManager().sliceWidget(name) for name in VIEWS]
    for widget in filter(None, widgets):
        widget.fitSliceToBackground()


def setReferenceLabel(isReference):
    """What the third column's views are called."""
    for plane in PLANES:
        widget = slicer.app.layoutManager().sliceWidget(viewName("Reference", plane))
        if widget is not None:
            widget.mrmlSliceNode().SetLayoutLabel(_("Real") if isReference else _("Error"))


def jump(ras):
    """All slice views of every layout, and the crosshair, to a point of the world (RAS mm)."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *(float(value) for value in ras))
    crosshair = _crosshair()
    if crosshair is not None:
        crosshair.SetCrosshairRAS(*(float(value) for value in ras))


def _layoutNode():
    manager = slicer.app.layoutManager()
    return None if manager is None else manager.layoutLogic().GetLayoutNode()


def _crosshair():
    return slicer.mrmlScene.GetSingletonNode("default", "vtkMRMLCrosshairNode")


def _composites():
    return [node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode") if node.GetLayoutName() in VIEWS]


def viewDescription(column, plane):
    """A view as a layout's XML has it; every layout that may be the first to make a view must describe it alike."""
    label = {"T1": "T1", "Synthetic": _("Synthetic"), "Reference": _("Error")}[column]
    return _VIEW.format(name=viewName(column, plane), plane=plane, label=label, color=PLANES[plane], group=VIEW_GROUP)


def _description():
    rows = ("".join(viewDescription(column, plane) for column in COLUMNS) for plane in PLANES)
    items = "".join(f"<item><layout type='horizontal'>{row}</layout></item>" for row in rows)
    return f"<layout type='vertical'>{items}</layout>"
