"""The doctor's report: what a helper needs, and nothing that could name a patient."""

from __future__ import annotations

import sys

import pytest
from T1T2TranslationLib import doctor


@pytest.fixture(scope="module")
def report():
    lines = [f"INFO: line {number}" for number in range(50)] + ["ERROR: 'Jane Doe' in /data/4711/Doe_Jane.nii.gz of 2024-05-17"]
    return doctor.report({"3D Slicer": "5.12"}, lines)


def test_it_names_versions_torch_models_and_the_last_log_lines(report):
    import torch

    for part in ("3D Slicer: 5.12", "numpy: ", f"torch: {torch.__version__}", "t1_to_t2", "line 49", "ERROR"):
        assert part in report
    assert "line 9\n" not in report


def test_it_says_nothing_about_patients(report):
    for private in ("Jane", "Doe", "4711", "2024", "/data"):
        assert private not in report


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("read 'Müller^Zoë T1'", "read '...'"),
        ("read /home/a b/x.nii", "read <path> b<path>"),
        (r"read C:\patients\Doe\IM1.dcm now", "read <path> now"),
        ("patient Doe^Jane", "patient <name>"),
        ("uid 1.2.840.10008.5.1", "uid <number>"),
        ("id 4711815 took 3 s", "id <number> took 3 s"),
        ("born 1970-01-31", "born <number>"),
        ("Translating scan7.nii.gz, 12 %", "Translating <file>, 12 %"),
    ],
)
def test_names_paths_dates_and_numbers_leave_a_log_line(line, left):
    assert doctor.without_names(line) == left


def test_a_python_without_torch_is_told_as_such(tmp_path):
    blocked = tmp_path / "torch.py"
    blocked.write_text("raise ImportError('libtorch_cpu.so: undefined symbol')")
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\ncd "{tmp_path}"; exec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    assert "undefined symbol" in doctor.report(executable=str(script))
    assert "FileNotFoundError" in doctor.report(executable=str(tmp_path / "nothing"))
