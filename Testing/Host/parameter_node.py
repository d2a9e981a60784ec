"""The module `slicer.parameterNodeWrapper`: typed attributes stored in a real vtkMRMLScriptedModuleNode."""

from __future__ import annotations

import dataclasses
import types
import typing
import weakref
from typing import Any

import slicer
import vtk

from .api import words
from .validators import Choice, Default, Validator
from .values import Codec, codec_for

RESERVED = words(
    "allParameters default isCached dataType getValue setValue connectGui connectParametersToGui "
    "disconnectGui StartModify EndModify AddObserver RemoveObserver Modified parameterNode"
)
SlicerParameterNamePropertyName = "SlicerParameterName"


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One annotated attribute."""

    name: str
    datatype: Any
    codec: Codec
    validators: tuple[Validator, ...]
    default: Any

    def write(self, node, value: Any) -> None:
        """Store `value`; TypeError or ValueError for one that does not belong here."""
        self.codec.check(value)
        for validator in self.validators:
            validator.validate(value)
        self.codec.write(node, self.name, value)

    def read(self, node) -> Any:
        if not node.HasParameter(self.name):
            self.write(node, self.default)
        value = self.codec.read(node, self.name)
        if any(isinstance(validator, Choice) for validator in self.validators):
            for validator in self.validators:  # a saved value outside a later Choice fails on load
                validator.validate(value)
        return value


def parameterNodeWrapper(classtype=None):
    """Class decorator: annotated attributes become parameters stored in a parameter node."""
    return _wrapped if classtype is None else _wrapped(classtype)


def _wrapped(cls: type) -> type:
    parameters = {name: _parameter(cls, name, hint) for name, hint in typing.get_type_hints(cls, include_extras=True).items()}
    for name in RESERVED:
        if hasattr(cls, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    for name in parameters:
        setattr(cls, name, _property(name))
    cls.allParameters = parameters
    for name, value in vars(_Wrapper).items():
        if not name.startswith("__") or name in ("__init__", "__del__"):
            setattr(cls, name, value)
    return cls


def _property(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


def _parameter(cls: type, name: str, hint: Any) -> Parameter:
    annotations = getattr(hint, "__metadata__", ())
    codec = codec_for(typing.get_args(hint)[0] if annotations else hint)
    given = [annotation.value for annotation in annotations if isinstance(annotation, Default)]
    default = getattr(cls, name) if hasattr(cls, name) else (given[0] if given else codec.default())
    validators = tuple(annotation for annotation in annotations if isinstance(annotation, Validator))
    return Parameter(name, hint, codec, validators, default)


class _Wrapper:
    """The methods that `parameterNodeWrapper` gives to the decorated class."""

    def __init__(self, parameterNode, prefix: str | None = None):
        if prefix:
            raise NotImplementedError("The host does not stand in parameter prefixes.")
        self.parameterNode = parameterNode
        self._guis: dict[int, dict[str, Any]] = {}
        self._next_gui = 0
        self._is_updating_gui = False
        self._cache: dict[str, Any] = {}
        self._being_written: str | None = None
        for parameter in self.allParameters.values():
            if not parameterNode.HasParameter(parameter.name):
                parameter.write(parameterNode, parameter.default)
            self._cache[parameter.name] = parameter.read(parameterNode)
        wrapper = weakref.ref(self)
        self._cache_tag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: wrapper()._read_all())

    def __del__(self):
        if hasattr(self, "_cache_tag"):
            self.parameterNode.RemoveObserver(self._cache_tag)

    def _read_all(self) -> None:
        """Values are remembered until the parameter node says that it changed."""
        for parameter in self.allParameters.values():
            if parameter.name != self._being_written:
                self._cache[parameter.name] = parameter.read(self.parameterNode)

    def _known(self, name: str) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}; there are {', '.join(self.allParameters)}.")
        return self.allParameters[name]

    def default(self, name):
        return Default(self._known(name).default)

    def dataType(self, name):
        return self._known(name).datatype

    def isCached(self, name):
        return bool(self._known(name))

    def getValue(self, name):
        return self._cache[self._known(name).name]

    def setValue(self, name, value):
        parameter, self._being_written = self._known(name), name
        try:
            with slicer.util.NodeModify(self.parameterNode):
                parameter.write(self.parameterNode, value)
                self._cache[name] = parameter.read(self.parameterNode)
        finally:
            self._being_written = None

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        return self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        return self.parameterNode.Modified()

    def connectGui(self, gui):
        """Tie every widget with a `SlicerParameterName` to its parameter; returns no tag, so that it cannot be undone."""
        widgets = gui.findChildren("QWidget") if hasattr(gui, "isWidgetType") else vars(gui).values()
        names = [(widget.property(SlicerParameterNamePropertyName), widget) for widget in widgets]
        self.connectParametersToGui({name: widget for name, widget in names if name})

    def connectParametersToGui(self, mapping):
        """Tie widgets to parameters: name -> widget; the answer is for `disconnectGui`."""
        from .gui_connectors import connector_for

        for name in mapping:
            self._known(name)
        connectors = {name: connector_for(widget, self.dataType(name)) for name, widget in mapping.items()}
        tag, self._next_gui = self._next_gui, self._next_gui + 1
        self._guis[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.observe(self._reader(name, connector))
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._write_gui())
        return tag

    def disconnectGui(self, guiTag):
        """Undo `connectParametersToGui`; an unknown tag is passed over."""
        for connector in self._guis.pop(guiTag, {}).values():
            connector.observe(None)

    def _reader(self, name: str, connector):
        def read_gui() -> None:  # no defaults: a signal would fill them with its arguments
            if not self._is_updating_gui:
                self.setValue(name, connector.read())

        return read_gui

    def _write_gui(self) -> None:
        if self._is_updating_gui:
            return
        self._is_updating_gui = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in self._guis.values():
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._is_updating_gui = False


def build() -> types.ModuleType:
    """The module `slicer.parameterNodeWrapper`."""
    from . import validators

    module = types.ModuleType("slicer.parameterNodeWrapper", "Stand-in for Slicer's parameterNodeWrapper.")
    module.parameterNodeWrapper = parameterNodeWrapper
    module.isParameterNodeWrapper = lambda thing: hasattr(thing, "allParameters")
    module.SlicerParameterNamePropertyName = SlicerParameterNamePropertyName
    for name in validators.__all__:
        setattr(module, name, getattr(validators, name))
    return module
