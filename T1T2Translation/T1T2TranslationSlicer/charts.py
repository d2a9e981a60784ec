"""Charts of a comparison in Slicer's own chart view: tables, series and charts that belong to a synthetic volume."""

import numpy as np
import slicer
from slicer.i18n import tr as _
from T1T2TranslationLib import curves

from . import nodes
from .compare_layout import CHART_LAYOUT, PLANES, enter, viewDescription
from .parameters import resultNode

_VIEW = "T1T2Chart"
_ROLE = "T1T2.Chart"
_DENSITIES = (100, 95, 80, 50)  # of the joint histogram: percent of the voxels, in the fewest bins that hold them
_COLORS = ((0.72, 0.83, 0.94), (0.42, 0.65, 0.87), (0.15, 0.42, 0.75), (0.03, 0.19, 0.45))
_DESCRIPTION = (
    "<layout type='vertical'><item><layout type='horizontal'>{}</layout></item>"
    "<item><view class='vtkMRMLPlotViewNode' singletontag='{}'/></item></layout>"
)

CHARTS = ("slices", "joint", "distribution")


def register():
    """Tell the layout node of our layout: three planes of the compare layout's middle column over the chart."""
    manager = slicer.app.layoutManager()
    if manager is not None and not manager.layoutLogic().GetLayoutNode().IsLayoutDescription(CHART_LAYOUT):
        views = "".join(viewDescription("Synthetic", plane) for plane in PLANES)
        manager.layoutLogic().GetLayoutNode().AddLayoutDescription(CHART_LAYOUT, _DESCRIPTION.format(views, _VIEW))


def title(name):
    """What a chart is called, to choose it by."""
    titles = (_("Error slice by slice"), _("Joint histogram"), _("Distribution of the error"))
    return titles[CHARTS.index(name)]


def show(name, parameters):
    """Make or update a chart and lay it under the synthetic volume's views; returns its node."""
    synthetic = parameters.syntheticVolume
    volumes = {
        key: nodes.asVolume(resultNode(parameters, key), inWorld=False)
        for key in ("synthetic", "absoluteError", "signedError", "alignedReference")
    }
    shown = volumes["absoluteError"].array > 0
    chart = {"slices": _slices, "joint": _joint, "distribution": _distribution}[name](synthetic, volumes, shown)
    chart.SetTitle(f"{synthetic.GetName()}: {title(name)}")
    register()
    enter(CHART_LAYOUT, parameters)
    slicer.mrmlScene.GetSingletonNode(_VIEW, "vtkMRMLPlotViewNode").SetPlotChartNodeID(chart.GetID())
    return chart


def listen(callback):
    """Call back with the row that a click chooses in our chart view, until the answer's `close`; None without a view."""
    manager = slicer.app.layoutManager()
    for index in range(manager.plotViewCount):
        widget = manager.plotWidget(index)
        if widget.mrmlPlotViewNode().GetLayoutName() == _VIEW:
            widget.mrmlPlotViewNode().SetInteractionMode(slicer.vtkMRMLPlotViewNode.InteractionModeSelectPoints)
            return _Listener(widget.plotView(), callback)
    return None


class _Listener:
    """Hears which points are chosen in one chart view."""

    def __init__(self, view, callback):
        self.view, self._callback = view, callback
        view.connect("dataSelected(vtkStringArray*,vtkCollection*)", self._onSelected)

    def close(self):
        self.view.disconnect("dataSelected(vtkStringArray*,vtkCollection*)", self._onSelected)

    def _onSelected(self, seriesIds, selections):
        for index in range(selections.GetNumberOfItems()):
            rows = selections.GetItemAsObject(index)
            if rows is not None and rows.GetNumberOfValues():
                self._callback(int(rows.GetValue(0)))
                return


def slicePoint(parameters, row):
    """Where (RAS mm, world) the slice lies that a row of the chart "slices" is about; None beyond its end."""
    table = _existing(parameters.syntheticVolume, "slices.table")
    if table is None or not 0 <= row < table.GetNumberOfRows():
        return None
    local = [float(table.GetCellText(row, table.GetColumnIndex(axis))) for axis in "RAS"]
    point = [0.0, 0.0, 0.0]
    parameters.syntheticVolume.TransformPointToWorld(local, point)
    return point


# ---- the three charts


def _slices(synthetic, volumes, shown):
    found = curves.error_by_slice(volumes["absoluteError"], shown)
    columns = [found.position_mm, found.mean, found.highest, *found.centre_ras_mm.T]
    table = _table(synthetic, "slices.table", columns, ["S (mm)", _("mean"), _("95th percentile"), "R", "A", "S"])
    series = [
        _series(synthetic, f"slices.{column}", table, "S (mm)", column, color)
        for column, color in ((_("mean"), _COLORS[3]), (_("95th percentile"), _COLORS[1]))
    ]
    for one in series:
        one.SetMarkerStyle(one.MarkerStyleCircle)
        one.SetMarkerSize(7)
    return _chart(synthetic, "slices", series, _("feet to head: S (mm)"), _("absolute error (1000 = brain's 99.5th percentile)"))


def _joint(synthetic, volumes, shown):
    real, made, share = curves.joint_histogram(volumes["alignedReference"].array, volumes["synthetic"].array, shown)
    levels = curves.density_levels(share, _DENSITIES)
    series = []
    for level, color in enumerate(_COLORS):
        chosen = levels == level
        columns = [real[chosen], made[chosen], share[chosen]]
        names = [_("real"), _("synthetic"), _("percent of voxels")]
        table = _table(synthetic, f"joint.table.{level}", columns, names)
        label = _("densest places of {percent} % of the voxels").format(percent=_DENSITIES[level])
        one = _series(synthetic, f"joint.{level}", table, names[0], names[1], color, label)
        one.SetPlotType(one.PlotTypeScatter)
        one.SetLineStyle(one.LineStyleNone)
        one.SetMarkerStyle(one.MarkerStyleSquare)
        one.SetMarkerSize(9)
        series.append(one)
    return _chart(synthetic, "joint", series, _("real (1000 = brain's 99.5th percentile)"), _("synthetic"))


def _distribution(synthetic, volumes, shown):
    centres, share = curves.error_distribution(volumes["signedError"].array, shown)
    table = _table(synthetic, "distribution.table", [centres, share], [_("error"), _("percent of voxels")])
    series = _series(synthetic, "distribution.line", table, _("error"), _("percent of voxels"), _COLORS[3])
    return _chart(synthetic, "distribution", [series], _("synthetic minus real"), _("percent of the voxels"))


# ---- nodes that belong to the synthetic volume


def _existing(synthetic, role):
    for index in range(synthetic.GetNumberOfNodeReferences(_ROLE)):
        node = synthetic.GetNthNodeReference(_ROLE, index)
        if node is not None and node.GetAttribute(_ROLE) == role:
            return node
    return None


def _node(synthetic, className, role):
    node = _existing(synthetic, role)
    if node is None:
        name = slicer.mrmlScene.GenerateUniqueName(f"{synthetic.GetName()} {role}")
        node = slicer.mrmlScene.AddNewNodeByClass(className, name)
        node.SetAttribute(_ROLE, role)
        synthetic.AddNodeReferenceID(_ROLE, node.GetID())
    return node


def _table(synthetic, role, columns, names):
    table = _node(synthetic, "vtkMRMLTableNode", role)
    table.RemoveAllColumns()
    slicer.util.updateTableFromArray(table, [np.ascontiguousarray(column, dtype=np.float64) for column in columns], names)
    return table


def _series(synthetic, role, table, x, y, color, name=None):
    series = _node(synthetic, "vtkMRMLPlotSeriesNode", role)
    series.SetName(name or y)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(x)
    series.SetYColumnName(y)
    series.SetPlotType(series.PlotTypeScatter)
    series.SetLineStyle(series.LineStyleSolid)
    series.SetMarkerStyle(series.MarkerStyleNone)
    series.SetColor(*color)
    return series


def _chart(synthetic, role, series, xTitle, yTitle):
    chart = _node(synthetic, "vtkMRMLPlotChartNode", role)
    chart.RemoveAllPlotSeriesNodeIDs()
    for one in series:
        chart.AddAndObservePlotSeriesNodeID(one.GetID())
    chart.SetXAxisTitle(xTitle)
    chart.SetYAxisTitle(yTitle)
    chart.SetLegendVisibility(len(series) > 1)
    return chart
