"""Fixtures for every test: the host that stands in for Slicer, small volumes, and the shared data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from Faults.tally import pytest_collection_modifyitems, pytest_terminal_summary  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def slicer_host(monkeypatch):
    """A freshly started stand-in for Slicer with a main window; the test fails if a slot or an observer raised."""
    pytest.importorskip("PySide6", reason="the host needs PySide6")
    pytest.importorskip("slicer", reason="the host needs slicer-core")
    from Host import session, slots

    host = session.host()
    monkeypatch.setattr(sys, "excepthook", slots.record_uncaught)
    host.restart()
    yield host
    host.process_events()
    host.close_widgets()
    failures = list(host.failures)
    host.restart()
    if failures:
        pytest.fail("Raised in a slot or an observer:\n\n" + "\n".join(failures), pytrace=False)


@pytest.fixture
def no_main_window(slicer_host):
    """The same Slicer, started with `--no-main-window --testing`: no layout manager, no slice views."""
    slicer_host.restart(has_main_window=False, is_testing=True)
    return slicer_host


@pytest.fixture
def a_volume_node(slicer_host):
    """A T1-like scalar volume node in the scene: 17 x 19 x 23 voxels (i, j, k), 0.9 x 0.9 x 3 mm, oblique, int16."""
    import slicer
    import vtk

    turn = vtk.vtkTransform()
    turn.RotateWXYZ(20, 0.3, 0.5, 0.8)
    turn.Scale(-0.9, -0.9, 3.0)
    ijk_to_ras = np.array([[turn.GetMatrix().GetElement(row, column) for column in range(4)] for row in range(4)])
    ijk_to_ras[:3, 3] = (11.0, -7.0, 5.0)
    return slicer.util.addVolumeFromArray(_head_like_array(), ijk_to_ras, "T1", "vtkMRMLScalarVolumeNode")


def _head_like_array() -> np.ndarray:
    """(k, j, i) int16: a bright ball with a brighter core and noise, on a dark background."""
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, count) for count in (23, 19, 17)), indexing="ij")
    radius = np.sqrt(i**2 + j**2 + k**2)
    noise = np.random.default_rng(0).normal(0, 10, radius.shape)
    return (np.where(radius < 0.9, 400, 0) + np.where(radius < 0.5, 300, 0) + np.abs(noise)).astype(np.int16)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans: `T1T2_SHARED_DATA`, or `../shared/data` beside the repository."""
    folder = Path(os.environ.get("T1T2_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"No shared data at {folder}; set T1T2_SHARED_DATA.")
    return folder
