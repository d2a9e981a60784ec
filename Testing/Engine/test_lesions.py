"""Lesions: found in FLAIR, painted, transplanted, weighed; and targets brought to one median."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from phantom import a_head_volume
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.subjects import read_datalist
from T1T2TranslationLib.training.dataset import Sampler, load_pairs
from T1T2TranslationLib.training.lesions import bright_lesions, donor, paint_lesion, paint_oedema, transplant
from T1T2TranslationLib.training.losses import lesion_loss
from T1T2TranslationLib.training.recipe import Augmentation
from T1T2TranslationLib.volume import Volume
from training_givens import SMALL, save_data


def a_sample(size: int = 48) -> torch.Tensor:
    """(5 + 2, size, size): an even disc of brain in air; T1 1, T2 0.3, weight 1 in the brain."""
    rows, columns = torch.meshgrid(torch.arange(size) - size / 2, torch.arange(size) - size / 2, indexing="ij")
    brain = ((rows.square() + columns.square()) < (0.45 * size) ** 2).float()
    return torch.stack([*[brain] * 5, 0.3 * brain, torch.where(brain > 0, 1.0, 0.2)])


def a_lesion(size: int = 40) -> torch.Tensor:
    """(5 + 2, size, size): T1 0.5, T2 0.9, and a lesion of 8 x 12 voxels off the middle."""
    lesion = torch.zeros(size, size)
    lesion[6:14, 20:32] = 1
    return torch.stack([*[torch.full((size, size), 0.5)] * 5, torch.full((size, size), 0.9), lesion])


@pytest.mark.parametrize("seed", range(6))
def test_a_transplanted_lesion_brings_its_input_its_target_and_its_weight_to_the_same_place(seed):
    before = a_sample()
    after = transplant(before, a_lesion(), 6.0, np.random.default_rng(seed), faintest=0.5)
    changed = (after[2] - before[2]).abs() > 0.02
    assert 20 < changed.sum() < 400
    assert ((after[5] - before[5]) > 0)[changed].all()  # dark in T1 as it is bright in T2
    darker, brighter = (before[2] - after[2])[changed] / 0.5, (after[5] - before[5])[changed] / 0.6
    shown = float((darker / brighter).mean())
    assert 0.5 <= shown <= 1.0  # T1 shows a lesion as clearly as T2, or less so ...
    torch.testing.assert_close(darker, shown * brighter)  # ... alike in all its voxels
    assert (after[-1][before[2] == 0] == before[-1][before[2] == 0]).all()  # air stays
    heavy = after[-1] == 6
    assert 0 < heavy.sum() <= changed.sum()
    assert ((after[5] - before[5])[heavy] > 0.3 - 1e-6).all()


def test_where_there_is_no_brain_nothing_is_transplanted_or_painted():
    air = torch.zeros(7, 32, 32)
    torch.testing.assert_close(transplant(air, a_lesion(), 6.0, np.random.default_rng(0)), air)
    torch.testing.assert_close(paint_lesion(air, 6.0, np.random.default_rng(0)), air)
    torch.testing.assert_close(paint_oedema(air, 6.0, np.random.default_rng(0)), air)


@pytest.mark.parametrize("seed", range(6))
def test_a_painted_lesion_is_dark_in_t1_bright_in_t2_and_weighs_more(seed):
    before = a_sample()
    after = paint_lesion(before, 6.0, np.random.default_rng(seed))
    heavy = after[-1] == 6
    assert heavy.any()
    assert (after[2] < before[2])[heavy].all()
    assert (after[5] > before[5])[heavy].all()


@pytest.mark.parametrize("seed", range(6))
def test_painted_oedema_fills_white_matter_in_t1_and_t2_and_spares_grey_matter(seed):
    before = a_sample()
    brain = before[-1] == 1
    cortex = brain & (torch.arange(48) < 20)
    before[:5, cortex], before[5, cortex] = 0.7, 0.4
    after = paint_oedema(before, 6.0, np.random.default_rng(seed))
    assert torch.equal(after[:, ~brain | cortex], before[:, ~brain | cortex])
    soaked = after[-1] == 6
    assert soaked.sum() > 20
    assert (after[:5] < before[:5])[:, soaked].all()
    assert (after[2][soaked] >= 1 - 0.35).all()  # no darker than grey matter, let alone fluid
    assert (after[5] > before[5])[soaked].all()
    assert (after[5] <= 0.7).all()


def test_a_bright_piece_of_flair_is_a_lesion_and_the_rim_and_specks_are_not():
    places = np.indices((61, 61, 61)) - 30
    brain = (places**2).sum(axis=0) < 28**2
    noise = np.random.default_rng(0).normal(0, 8, brain.shape)
    image = np.where(brain, 200 + noise, 0)
    image[24:37, 24:37, 24:37] = 400  # 2197 voxels
    image[30:32, 24:26, 44:46] = 400  # a speck
    found = bright_lesions(Volume(image.astype(np.float32), np.eye(4)), brain)
    expected = np.zeros(brain.shape, bool)
    expected[24:37, 24:37, 24:37] = True
    assert (found & expected).sum() > 0.95 * expected.sum()
    around = np.zeros(brain.shape, bool)
    around[21:40, 21:40, 21:40] = True  # the smoothing widens it by some voxels
    assert not (found & ~around).any()


def test_the_lesion_loss_is_the_mean_over_the_lesion_whatever_happens_elsewhere():
    weight = torch.ones(2, 1, 12, 12)
    weight[0, 0, 2:8, 2:8] = 6  # 36 voxels; the other sample has none
    target = torch.zeros(2, 1, 12, 12)
    value = torch.rand(2, 1, 12, 12)
    value[0, 0, 2:8, 2:8] = torch.tensor([0.1, 0.5]).repeat(18).reshape(6, 6)
    assert lesion_loss(value, target, weight).item() == pytest.approx(0.3 / 2, abs=1e-6)
    assert lesion_loss(value, target, torch.ones_like(weight)).item() == 0


def test_medians_of_the_target_are_matched_while_air_and_fluid_stay(tmp_path):
    subjects = read_datalist(save_data(tmp_path), "t1n", "t2w")
    darker = a_head_volume(contrast="T2", stripped=True)
    darkened = darker.array.astype(np.float64) ** 1.4  # as a longer echo time would
    write_volume(darker.with_array((darkened / darkened.max() * 1000).astype(np.float32)), tmp_path / "dark.nii.gz")
    subjects.append(dataclasses.replace(subjects[0], id="dark", images=subjects[0].images | {"t2w": tmp_path / "dark.nii.gz"}))
    as_they_are = load_pairs(subjects, dataclasses.replace(SMALL, match_medians=False), Preprocessing())
    matched = load_pairs(subjects, SMALL, Preprocessing())
    assert [pair.id for pair in matched] == ["one", "two", "two stripped", "dark"]
    assert [pair.is_whole_head for pair in matched] == [False, True, False, False]
    assert np.ptp([matched[which].median for which in (0, 2, 3)]) < 0.002
    assert matched[1].median == pytest.approx(as_they_are[1].median, abs=1e-3)  # the only one of its kind
    assert abs(as_they_are[0].median - as_they_are[3].median) > 0.05
    first, last = matched[0], matched[3]  # one patient at two echo times is one image again
    np.testing.assert_allclose(last.target.astype(float), first.target.astype(float), atol=0.02)
    assert first.target.min() == 0
    assert first.target.max() == 1


def test_a_companion_is_mixed_into_some_inputs_and_a_donor_gives_its_lesion(tmp_path):
    subjects = read_datalist(save_data(tmp_path), "t1n", "t2w")[:1]
    flair = a_head_volume(contrast="T2", stripped=True)
    write_volume(flair, tmp_path / "one-t1c.nii.gz")
    one = dataclasses.replace(subjects[0], images=subjects[0].images | {"t1c": tmp_path / "one-t1c.nii.gz"})
    still = Augmentation(*[0.0] * 13)
    recipe = dataclasses.replace(SMALL, companion="t1c", companion_share=1.0, augmentation=still)
    (pair,) = load_pairs([one], recipe, Preprocessing())
    assert pair.companion.values.shape == pair.planes.values.shape
    assert donor(pair.planes, pair.target, pair.lesion) is None  # 16 voxels in a plane are too few
    mixed = Sampler([pair], recipe, seed=1).batch()[0]
    alone = Sampler([pair], dataclasses.replace(recipe, companion_share=0.0), seed=1).batch()[0]
    assert mixed.shape == alone.shape
    assert not torch.allclose(mixed, alone, atol=0.01)
