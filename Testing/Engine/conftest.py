"""Givens of the engine's tests: small heads, small models, and a CPU that computes in float32."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from givens import save_untrained_model
from phantom import a_head_volume
from T1T2TranslationLib.volume import Volume


@pytest.fixture(scope="session")
def a_head() -> Volume:
    """A whole head, T1, 45 x 53 x 43 voxels of 1 mm, int16."""
    return a_head_volume()


@pytest.fixture(scope="session")
def an_oblique_head() -> Volume:
    """The same head on an oblique, anisotropic grid: 53 x 57 x 19 voxels of 0.9 x 0.9 x 3 mm, float32."""
    return a_head_volume((53, 57, 19), (0.9, 0.9, 3.0), degrees=17, dtype=np.float32)


@pytest.fixture(scope="session")
def a_t2_head() -> Volume:
    """The T2 of `a_head`, on its grid."""
    return a_head_volume(contrast="T2")


@pytest.fixture(scope="session")
def the_model():
    """The model that is shipped."""
    from T1T2TranslationLib.model import load_model

    return load_model("t1_to_t2")


@pytest.fixture(scope="session")
def an_identity_model(tmp_path_factory):
    """A model whose weights were set by hand so that its value is what it reads and its error is 1, exactly."""
    import torch
    from T1T2TranslationLib.model import load_model, save_model
    from T1T2TranslationLib.preprocessing import Preprocessing

    folder = save_untrained_model(tmp_path_factory.mktemp("models") / "identity", (8, 4, 4, 4))
    network = load_model(folder).network
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
        for corner in range(4):  # of the 2 x 2 voxels that the stem unshuffles; plane 2 of 5 is the middle one
            network.body.stem.weight[corner, 4 * 2 + corner, 1, 1] = 1
            network.body.head.weight[corner, corner, 1, 1] = 1
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    save_model(folder, network, Preprocessing(), metadata)
    return load_model(folder)


@pytest.fixture
def in_float32(monkeypatch):
    """The CPU's timed trial is lost by bf16, so that results can be compared bit for bit on any machine."""
    from T1T2TranslationLib import device, inference

    monkeypatch.setattr(device, "_CPU_BF16_GAIN", float("inf"))
    forget = inference._chosen_device.cache_clear
    forget()
    yield
    forget()


# ---- judging


@pytest.fixture(scope="session")
def a_cohort(tmp_path_factory) -> Path:
    """A data list of three stripped patients of different brightness, one fold each; the second has a tumour."""
    from evaluation_givens import save_cohort

    return save_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture
def subjects(a_cohort):
    """The three of `a_cohort`."""
    from T1T2TranslationLib.subjects import read_datalist

    return read_datalist(a_cohort, "t1n", "t2w")


@pytest.fixture
def a_case(subjects):
    """The subject with the tumour."""
    from T1T2TranslationLib.subjects import load_case

    return load_case(subjects[1], "t1n", "t2w")


@pytest.fixture
def an_untrained_model(tmp_path) -> Path:
    """A bundle that has learnt nothing and was never judged."""
    return save_untrained_model(tmp_path / "models" / "untrained")
