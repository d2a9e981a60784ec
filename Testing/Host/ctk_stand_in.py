"""The module `ctk`, and Slicer's own widget classes; one line a class."""

from __future__ import annotations

import types

from . import api, application, ctk_widgets, mrml_widgets, qt_stand_in, ui_file

_CTK = (
    ctk_widgets.ctkCollapsibleButton,
    ctk_widgets.ctkCollapsibleGroupBox,
    ctk_widgets.ctkComboBox,
    ctk_widgets.ctkFittedTextBrowser,
    ctk_widgets.ctkMessageBox,
    ctk_widgets.ctkPathLineEdit,
    ctk_widgets.ctkSliderWidget,
)
_SLICER = (
    mrml_widgets.qMRMLNodeComboBox,
    mrml_widgets.qMRMLWidget,
    application.qMRMLLayoutManager,
    application.qMRMLSliceView,
    application.qMRMLSliceWidget,
    application.qSlicerApplication,
    application.qSlicerMainWindow,
)


def _stand_ins(module_name: str, qt_classes: tuple[type, ...]) -> dict[str, type]:
    for qt_class in qt_classes:
        if not api.is_shown(module_name, qt_class.__name__) and qt_class is not application.qSlicerApplication:
            raise LookupError(f"Slicer's {module_name} has no {qt_class.__name__}.")
    return {qt_class.__name__: qt_stand_in.widget(qt_class.__name__, qt_class) for qt_class in qt_classes}


# The introspection names the two classes of the chart view and not their members; these are in Slicer's script repository.
_PLOTS = {
    application.qMRMLPlotView: api.Members(signals=frozenset({"dataSelected(vtkStringArray*,vtkCollection*)"})),
    application.qMRMLPlotWidget: api.Members(methods=frozenset({"mrmlPlotViewNode", "plotView"})),
}


def _plots() -> dict[str, type]:
    widget = qt_stand_in.classes["QWidget"]
    return {
        qt_class.__name__: qt_stand_in.register(qt_class.__name__, qt_class, members | widget._members, widget)
        for qt_class, members in _PLOTS.items()
        if api.is_shown("slicer", qt_class.__name__)
    }


def build() -> tuple[types.ModuleType, dict[str, type]]:
    """The module `ctk`, and the classes that go into the module `slicer`."""
    ctk_classes, slicer_classes = _stand_ins("ctk", _CTK), _stand_ins("slicer", _SLICER) | _plots()
    ui_file.widget_classes.update({qt_class.__name__: qt_class for qt_class in _CTK + _SLICER[:2]})
    module = types.ModuleType("ctk", "Stand-in for Slicer's ctk.")
    vars(module).update(ctk_classes)
    return module, slicer_classes
