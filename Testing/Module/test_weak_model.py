"""A model that does not beat a look-up table on a kind of input says so in the panel, before Apply and with the result."""

from __future__ import annotations

import json

import pytest
from Module.conftest import section


@pytest.fixture
def a_weak_model(tmp_path, monkeypatch):
    """A bundle in the user's folder whose own scores say that a table is nearer in stripped brains and in tumours."""
    from givens import save_untrained_model

    folder = save_untrained_model(tmp_path / "weak")
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    weak = {"MAE": 0.2, "table MAE": 0.15}
    metadata["t1t2"]["scores"] = {"skull-stripped brain": weak, "whole-head brain": weak, "tumour": weak}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    monkeypatch.setenv("T1T2_MODELS", str(tmp_path))
    return folder


SAID = ("this model was no better than a look-up table (mean error 200 of 1000, the table's 150)", "If there is a tumour")


def test_the_light_says_before_apply_where_the_model_is_weak(slicer_host, ready, a_weak_model):
    light = section(ready, "InputCheckSection")
    slicer_host.wait_until(lambda: light.ui.lightLabel.visible, 20)
    assert "look-up table" not in light.ui.lightLabel.text
    ready._parameterNode.model = a_weak_model.name
    slicer_host.wait_until(lambda: "look-up table" in light.ui.lightLabel.text, 20)
    for words in SAID:
        assert words.replace("'", "&#x27;") in light.ui.lightLabel.text
    assert "amber" in light.ui.lightLabel.toolTip
