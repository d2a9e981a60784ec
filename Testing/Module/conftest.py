"""The real module on the stand-in for Slicer."""

from __future__ import annotations

from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "T1T2Translation" / "T1T2Translation.py"


@pytest.fixture
def module(slicer_host):
    """The module's file, loaded as Slicer loads it at start."""
    return slicer_host.load_module(MODULE)


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
