"""`slicer.modules`, the scripted modules loaded into it, and the modules that other modules import."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import slicer

from . import i18n, parameter_node, scripted_module

registered_sample_data: list[dict[str, Any]] = []  # what was given to registerCustomSampleDataSource


class CoreModule:
    """A module of Slicer's own, with its C++ logic."""

    def __init__(self, name: str, logic):
        self.name, self._logic = name, logic

    def logic(self):
        return self._logic


class ScriptedModule:
    """The `parent` that a scripted module's class gets: what Slicer shows of a module."""

    __slots__ = (
        "acknowledgementText", "categories", "contributors", "dependencies", "helpText", "hidden", "icon", "name", "path",
        "python_module", "title",
    )  # fmt: skip

    def __init__(self, path: Path):
        self.name, self.path, self.hidden = path.stem, str(path), False


class Modules:
    """`slicer.modules`: only what is loaded is there."""

    def __init__(self, core: dict[str, CoreModule]):
        vars(self).update(core)

    def unload_scripted(self) -> None:
        """Forget every module and panel but Slicer's own."""
        for name in [name for name, module in vars(self).items() if not isinstance(module, CoreModule)]:
            delattr(self, name)

    def add(self, name: str, module: Any) -> None:
        vars(self)[name] = module

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Slicer has no module {name}; the host has {', '.join(vars(self))}.")


class SampleDataLogic:
    """Slicer's SampleData module, which only remembers here what was registered."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom", sampleName=None, uris=None, fileNames=None, nodeNames=None, customDownloader=None,
        thumbnailFileName=None, loadFileType=None, loadFiles=None, loadFileProperties=None, checksums=None,
    ) -> None:  # fmt: skip
        registered_sample_data.append(dict(locals()))


def _install_nothing(requirements) -> None:
    raise AssertionError(f"A test may not install {requirements}.")


def _module(name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module


def install(mrml) -> None:
    """Put the stand-ins for Slicer's base modules into sys.modules and into `slicer`."""
    core = {
        "colors": mrml.colors,
        "volumes": mrml.volumes,
        "segmentations": mrml.segmentations,
        "subjecthierarchy": mrml.subject_hierarchy,
    }
    slicer.modules = Modules({name: CoreModule(name, logic) for name, logic in core.items()})
    slicer.moduleNames = types.SimpleNamespace(**{name.capitalize(): name.capitalize() for name in core})
    sys.modules["slicer.ScriptedLoadableModule"] = slicer.ScriptedLoadableModule = scripted_module
    sys.modules["slicer.i18n"] = slicer.i18n = i18n
    slicer.parameterNodeWrapper = sys.modules["slicer.parameterNodeWrapper"] = parameter_node.build()
    slicer.util.pip_install = slicer.util.pip_uninstall = _install_nothing
    _module("SampleData", SampleDataLogic=SampleDataLogic)
