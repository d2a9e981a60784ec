"""The report needs nothing that 3D Slicer lacks."""

from __future__ import annotations

import subprocess
import sys

from T1T2TranslationLib import layers, samples

WITHOUT_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = None
from T1T2TranslationLib import samples
from T1T2TranslationLib.report import write_report
head = samples.phantom()
write_report(head, samples.phantom_translation(head, with_reference=True), sys.argv[1])
"""


def test_a_report_is_written_without_matplotlib(tmp_path):
    page = tmp_path / "page.html"
    done = subprocess.run([sys.executable, "-c", WITHOUT_MATPLOTLIB, str(page)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert page.read_text().count("data:image/png;base64") > 12


def test_the_table_of_measures_as_csv_has_a_row_a_region():
    metrics = samples.phantom_translation(samples.phantom(), with_reference=True).comparison.metrics
    assert layers.metrics_as_csv(metrics).splitlines()[0].startswith("region,MAE")
    assert layers.metrics_as_csv({"a, b": {"MAE": 0.1}}).splitlines()[1] == '"a, b",0.1'
