"""The report's pictures need nothing that 3D Slicer lacks."""

from __future__ import annotations

import base64
import io
import subprocess
import sys

import matplotlib
import matplotlib.image
import numpy as np
from T1T2TranslationLib import layers, samples
from T1T2TranslationLib.pictures import legend_of

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


def test_the_colours_of_error_are_matplotlibs_inferno_to_a_few_levels():
    data = base64.b64decode(legend_of("inferno").partition(",")[2])
    drawn = matplotlib.image.imread(io.BytesIO(data))[0, :, :3]
    wanted = matplotlib.colormaps["inferno"](np.linspace(0, 1, 256))[:, :3]
    assert np.abs(drawn - wanted).max() < 0.04


def test_the_table_of_measures_as_csv_has_a_row_a_region():
    metrics = samples.phantom_translation(samples.phantom(), with_reference=True).comparison.metrics
    assert layers.metrics_as_csv(metrics).splitlines()[0].startswith("region,MAE")
    assert layers.metrics_as_csv({"a, b": {"MAE": 0.1}}).splitlines()[1] == '"a, b",0.1'
