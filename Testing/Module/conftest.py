"""The real module on the stand-in for Slicer."""

from __future__ import annotations

from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "T1T2Translation" / "T1T2Translation.py"


@pytest.fixture
def module(slicer_host):
    """The module's file, loaded as Slicer loads it at start; no worker is started before a test asks for it."""
    loaded = slicer_host.load_module(MODULE)
    loaded.WARM_UP_AFTER_MS = 3_600_000
    return loaded


@pytest.fixture
def panel(slicer_host, module):
    """The module's panel, opened by a user."""
    return slicer_host.open_panel(module)


@pytest.fixture
def logic(module):
    """The module's logic, as a script makes it."""
    return module.T1T2TranslationLogic()


@pytest.fixture
def head(slicer_host):
    """A volume node with the phantom's T1."""
    import slicer
    from T1T2TranslationLib import samples

    phantom = samples.phantom()
    return slicer.util.addVolumeFromArray(phantom.array.transpose(2, 1, 0), phantom.affine, "Head")


def section(panel, name):
    """One of the panel's sections by its class's name."""
    return next(found for found in panel.sections if type(found).__name__ == name)


@pytest.fixture
def ready(panel, head):
    """The panel with a T1 chosen."""
    panel._parameterNode.inputVolume = head
    panel._parameterNode.device = "cpu"
    return panel


@pytest.fixture
def results(ready, head):
    """The panel after a translation with a real T2, made without a network."""
    from T1T2TranslationLib import samples

    translation = samples.phantom_translation(ready.logic.volumes(head)["volume"], with_reference=True)
    ready._inputOfJob = head
    ready.onDone(translation)
    return ready


@pytest.fixture
def viewing(results):
    """The section "View" of that panel."""
    return section(results, "ViewingSection")
