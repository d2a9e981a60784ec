"""Training's parts: losses against hand-made values, augmentation that moves pairs alike, data and recipes."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from phantom import a_head_volume
from T1T2TranslationLib.errors import UnsuitableTrainingData
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.subjects import Subject, read_datalist
from T1T2TranslationLib.training import losses
from T1T2TranslationLib.training.augmentation import deform, vary_contrast
from T1T2TranslationLib.training.dataset import Sampler, load_pairs, read_label_maps
from T1T2TranslationLib.training.origins import Origin, origins_of
from T1T2TranslationLib.training.recipe import Augmentation, LossWeights, read_recipe, shipped_recipes
from training_givens import SMALL, save_data

NOTHING = Augmentation(**{field.name: 0.0 for field in dataclasses.fields(Augmentation)})


@pytest.fixture(scope="module")
def a_datalist(tmp_path_factory):
    return save_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pairs(a_datalist):
    return load_pairs(read_datalist(a_datalist, "t1n", "t2w"), SMALL, Preprocessing())


# ---- losses

VALUE = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
TARGET = torch.tensor([[[[0.0, 3.0], [2.0, 0.0]]]])
WEIGHT = torch.tensor([[[[1.0, 1.0], [1.0, 0.0]]]])


def test_mae_and_mse_count_only_where_there_is_weight():
    assert losses.mae_loss(VALUE, TARGET, WEIGHT) == pytest.approx(2 / 3)
    assert losses.mse_loss(VALUE, TARGET, WEIGHT) == pytest.approx(4 / 3)
    assert losses.mae_loss(VALUE, TARGET, 0 * WEIGHT) == 0


def test_the_gradient_loss_is_the_mean_difference_down_plus_right():
    # error [[0, -2], [0, 3]]: down 0 and 5, right -2 and 3; the weight of the later voxel counts.
    assert losses.gradient_loss(VALUE, TARGET, WEIGHT) == pytest.approx(0 / 1 + 2 / 1)
    assert losses.gradient_loss(VALUE, TARGET, torch.ones_like(WEIGHT)) == pytest.approx(5 / 2 + 5 / 2)


def test_the_laplace_loss_teaches_the_scale_its_error_and_leaves_the_value_alone():
    log_scale = torch.full_like(VALUE, math.log(2.0), requires_grad=True)
    value = VALUE.clone().requires_grad_()
    loss = losses.laplace_loss(value, log_scale, TARGET, WEIGHT)
    assert loss.item() == pytest.approx((2 / 2) / 3 + math.log(2.0))
    loss.backward()
    assert value.grad is None
    # d/ds (|e| exp(-s) + s) = 1 - |e| / 2, over three voxels: 0 where the scale is the error
    torch.testing.assert_close(log_scale.grad, torch.tensor([[[[1 / 3, 0.0], [1 / 3, 0.0]]]]))


def test_ssim_agrees_with_monai():
    monai_losses = pytest.importorskip("monai.losses")
    torch.manual_seed(0)
    target = torch.rand(3, 1, 32, 41)
    value = (target + 0.2 * torch.randn_like(target)).clamp(0, 1).requires_grad_()
    ours = losses.ssim_loss(value, target, torch.ones_like(target))
    (gradient,) = torch.autograd.grad(ours, value)
    theirs = monai_losses.SSIMLoss(spatial_dims=2, data_range=1.0)(value, target)
    (their_gradient,) = torch.autograd.grad(theirs, value)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    torch.testing.assert_close(gradient, their_gradient, atol=1e-6, rtol=1e-3)


def test_ssim_agrees_with_scikit_image_and_counts_only_where_there_is_weight():
    metrics = pytest.importorskip("skimage.metrics")
    random = np.random.default_rng(1)
    target, value = random.random((2, 40, 40))
    similarity = metrics.structural_similarity(
        target, value, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )[1]
    weight = np.zeros((40, 40))
    weight[8:20, 9:30] = 1
    images = (torch.from_numpy(image.astype(np.float32))[None, None] for image in (value, target, weight))
    assert losses.ssim_loss(*images).item() == pytest.approx(1 - similarity[8:20, 9:30].mean(), abs=1e-4)


def test_losses_combine_in_proportion_and_zero_leaves_one_out():
    images = (VALUE, torch.zeros_like(VALUE), TARGET, WEIGHT)
    total, terms = losses.combined_loss(*images, LossWeights(mae=2.0, mse=0.5, ssim=0.0, gradient=0.0, lesion=0.0, laplace=0.0))
    assert set(terms) == {"mae", "mse"}
    assert total.item() == pytest.approx(2 * 2 / 3 + 0.5 * 4 / 3)


# ---- augmentation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_ranges_nothing_changes():
    planes = torch.rand(4, 5, 32, 32)
    torch.testing.assert_close(deform(planes[:1], 32, NOTHING, generator()), planes[:1], atol=1e-5, rtol=0)
    torch.testing.assert_close(vary_contrast(planes, NOTHING, generator()), planes, atol=1e-5, rtol=0)


def test_a_smaller_patch_is_the_middle_of_the_plane():
    stack = torch.rand(1, 3, 40, 48)
    torch.testing.assert_close(deform(stack, 32, NOTHING, generator()), stack[..., 4:36, 8:40], atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_input_target_and_weight_are_moved_alike(seed):
    plane = torch.rand(1, 1, 40, 44)
    moved = deform(plane.expand(1, 7, 40, 44), 48, Augmentation(), generator(seed))
    assert moved.shape == (1, 7, 48, 48)
    assert (moved == moved[:, :1]).all()
    assert not torch.equal(moved[..., :40, :44], plane.expand(1, 7, 40, 44))


def test_a_flip_mirrors_left_and_right():
    stack = torch.rand(1, 2, 32, 32)
    always = dataclasses.replace(NOTHING, flip=1.0)
    torch.testing.assert_close(deform(stack, 32, always, generator()), stack.flip(-1), atol=1e-4, rtol=0)


def test_a_rotation_keeps_shapes_on_a_plane_that_is_not_square():
    plane = torch.zeros(1, 1, 96, 64)
    rows, columns = torch.meshgrid(torch.arange(96) - 47.5, torch.arange(64) - 31.5, indexing="ij")
    plane[0, 0] = (rows.square() + columns.square() < 20**2).float()
    turned = deform(plane, 64, dataclasses.replace(NOTHING, rotation_degrees=40.0), generator(3))
    is_other = (turned[0, 0] - plane[0, 0, 16:80]).abs() > 0.5
    assert is_other.sum() < 0.02 * plane.sum()  # only the rim is interpolated
    assert turned.sum() == pytest.approx(plane.sum().item(), rel=0.01)


def test_contrast_is_varied_but_air_stays_air_and_no_value_is_negative():
    planes = torch.zeros(16, 5, 32, 32)
    planes[:, :, 8:24, 8:24] = torch.rand(16, 5, 16, 16) + 0.2
    varied = vary_contrast(planes, Augmentation(), generator())
    assert varied.shape == planes.shape
    assert varied.min() >= 0
    assert torch.isfinite(varied).all()
    assert (varied[..., 0, 0] == 0).float().mean() > 0.4  # in most samples the air is exactly 0
    assert all(not torch.allclose(one, other) for one, other in zip(varied, planes, strict=True))


def test_thick_slices_draw_the_neighbours_to_the_middle():
    planes = torch.rand(8, 5, 16, 16)
    always = dataclasses.replace(NOTHING, thick_slices=1.0)
    varied = vary_contrast(planes, always, generator())
    torch.testing.assert_close(varied[:, 2], planes[:, 2], atol=1e-5, rtol=0)
    before, after = ((images - images[:, 2:3]).abs().mean() for images in (planes, varied))
    assert 0.2 * before < after < 0.8 * before


# ---- data


def test_a_data_list_gives_its_subjects_with_fold_and_files(a_datalist):
    one, two = read_datalist(a_datalist, "t1n", "t2w")
    assert (one.id, one.fold, two.id, two.fold) == ("one", 0, "two", 1)
    assert one.images["t1n"] == a_datalist.parent / "one-t1n.nii.gz"
    assert read_label_maps(a_datalist, Preprocessing()) == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"paired": [{"images": {}}]}', '{"paired": [{"id": 1, "images": 3}]}'])
def test_a_list_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(UnsuitableTrainingData, match=r"list\.json"):
        read_datalist(tmp_path / "list.json", "t1n", "t2w")


def test_a_head_with_a_brain_mask_gives_a_pair_as_it_is_and_one_stripped(pairs):
    assert [pair.id for pair in pairs] == ["one", "two", "two stripped"]
    whole, stripped = pairs[1:]
    assert (whole.planes.values > 0).sum() > 1.2 * (stripped.planes.values > 0).sum() > 0
    assert (stripped.target[stripped.planes.values == 0] > 0.05).mean() < 0.02


def test_a_pair_lies_on_one_grid_in_the_protocols_unit_and_a_tumour_counts_more(pairs):
    for pair in pairs:
        assert pair.planes.values.shape == pair.target.shape == pair.weight.shape
        assert 0 <= pair.target.min() <= pair.target.max() <= 1
        assert pair.chances.sum() == pytest.approx(1)
    assert np.unique(pairs[0].weight).tolist() == pytest.approx([0.2, 1, SMALL.tumour_weight], abs=1e-3)


def test_a_t2_on_another_grid_is_registered_onto_the_t1(pairs):
    whole = pairs[1]
    ventricles = (whole.planes.values < 0.35) & (whole.weight > 0.9)
    assert np.median(whole.target[ventricles]) > 0.5  # fluid is dark in T1 and bright in T2


def test_unusable_subjects_are_reported_with_the_reason_and_left_out(a_datalist, tmp_path, caplog):
    one = read_datalist(a_datalist, "t1n", "t2w")[0]
    dark = a_head_volume()
    write_volume(dark.with_array(0 * dark.array), tmp_path / "dark.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    subjects = [
        one,
        Subject("no-t2", {"t1n": one.images["t1n"]}),
        Subject("dark-t2", one.images | {"t2w": tmp_path / "dark.nii.gz"}),
        Subject("broken-t1", one.images | {"t1n": tmp_path / "broken.nii.gz"}),
        Subject("absent-t1", one.images | {"t1n": tmp_path / "absent.nii.gz"}),
    ]
    with caplog.at_level(logging.WARNING):
        assert [pair.id for pair in load_pairs(subjects, SMALL, Preprocessing())] == ["one"]
    for subject in subjects[1:]:
        assert sum(message.startswith(f"{subject.id} left out: ") for message in caplog.messages) == 1
    with pytest.raises(UnsuitableTrainingData, match="No subject"):
        load_pairs(subjects[1:], SMALL, Preprocessing())


def test_batches_have_the_networks_shape_and_the_targets_unit(pairs):
    planes, target, weight = Sampler(pairs, SMALL, 0).batch()
    assert planes.shape == (4, 5, 48, 48)
    assert target.shape == weight.shape == (4, 1, 48, 48)
    assert {image.dtype for image in (planes, target, weight)} == {torch.float32}
    assert target.max() > 0.3


def test_two_seeds_draw_differently(pairs):
    assert not torch.equal(Sampler(pairs, SMALL, 0).batch()[0], Sampler(pairs, SMALL, 1).batch()[0])


# ---- recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_the_shipped_recipes_can_be_read_by_their_names(name):
    from T1T2TranslationLib.network import TranslationNetwork

    recipe = read_recipe(Path(name))
    assert recipe.name == name
    TranslationNetwork(**recipe.network.as_arguments())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("minuts = 3", "unknown minuts"),
        ("[losses]\nl1 = 3", "unknown l1"),
        ("[network]\nwidths = [1, 2]", "4 numbers"),
        ("minutes = ", "Invalid value"),
        ("source = 't3'", "'t3'; one of t1n, t1c, t2w, t2f"),
        ("companion = 't1ce'", "'t1ce'; one of t1n, t1c, t2w, t2f"),
        ("minutes = 0", "minutes is 0; a number of at least 0, but not 0, is needed"),
        ("minutes = 'five'", "minutes is 'five'; a number is needed"),
        ("learning_rate = -1", "learning_rate is -1"),
        ("seed = 1.5", "seed is 1.5; a whole number is needed"),
        ("batch_size = true", "batch_size is True; a whole number is needed"),
        ("match_medians = 1", "match_medians is 1; true or false is needed"),
        ("name = 5", "name is 5; a text is needed"),
        ("patch = 8", "patch is 8; at least 16 voxels"),
        ("painted_share = 1.1", "painted_share is 1.1; a number from 0 to 1 is needed"),
        ("[augmentation]\nflip = 7", "flip is 7; a number from 0 to 1 is needed"),
        ("[augmentation]\nnoise = nan", "noise is nan"),
        ("[losses]\nmse = -3", "mse is -3"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused_with_the_mistake(tmp_path, text, said):
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(UnsuitableTrainingData, match=said):
        read_recipe(tmp_path / "recipe.toml")


# ---- what a data list says


@pytest.mark.parametrize("labels", [{"0": "background"}, [{"file": "head.nii.gz"}], [3]])
def test_labels_that_are_no_label_maps_are_refused(tmp_path, labels):
    (tmp_path / "list.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(UnsuitableTrainingData, match=r"\"labels\" of 'list\.json' is no list of label maps"):
        read_label_maps(tmp_path / "list.json", Preprocessing())


def test_images_that_may_be_swapped_are_named(a_datalist, caplog):
    subjects = read_datalist(a_datalist, "t1n", "t2w")
    right = subjects[0]
    swapped = dataclasses.replace(right, id="turned", images={"t1n": right.images["t2w"], "t2w": right.images["t1n"]})
    load_pairs([right, swapped], SMALL, Preprocessing())
    doubts = [record.getMessage() for record in caplog.records if "swapped" in record.getMessage()]
    assert len(doubts) == 1
    assert doubts[0].startswith("The reference 't2w of turned' does not look like a T2")


def test_sources_are_told_of_subjects_that_have_no_name_in_their_list(tmp_path):
    entry = {"t1n": "p1-t1.nii", "t2w": "p1-t2.nii", "source": "Here", "licence": "CC0", "cite": "Us 2026", "pathology": "none"}
    (tmp_path / "list.json").write_text(json.dumps({"training": [entry, {"t1n": "p2-t1.nii", "t2w": "p2-t2.nii"}]}))
    here, nowhere = origins_of(read_datalist(tmp_path / "list.json", "t1n", "t2w"))
    assert here == Origin("Here", "CC0", "Us 2026", ("p1-t1",), ("none",))
    assert nowhere == Origin("not stated", "not stated", "", ("p2-t1",))
