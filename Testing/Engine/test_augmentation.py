"""Augmentation, one ingredient at a time: each alone changes what it should, by as much as its range says, and nothing else."""

import dataclasses

import numpy as np
import pytest
import torch
from T1T2TranslationLib.training.augmentation import deform, vary_contrast
from T1T2TranslationLib.training.recipe import Augmentation

NOTHING = Augmentation(**{entry.name: 0.0 for entry in dataclasses.fields(Augmentation)})
CONTRAST = {"gamma", "bend", "gain", "bias_field", "noise", "blur_sigma", "thick_slices"}
GEOMETRY = {"flip", "shift", "rotation_degrees", "zoom", "deformation"}
LESIONS = {entry.name for entry in dataclasses.fields(Augmentation)} - CONTRAST - GEOMETRY
DRAWS = 40


def only(**ranges: float) -> Augmentation:
    return dataclasses.replace(NOTHING, **ranges)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tissue(*shape: int) -> torch.Tensor:
    """Planes with intensities of 0.1 to 0.9."""
    return 0.1 + 0.8 * torch.rand(shape, generator=generator(11))


def varied(planes: torch.Tensor, **ranges: float) -> torch.Tensor:
    return vary_contrast(planes, only(**ranges), generator(1))


def moved(stack: torch.Tensor, **ranges: float) -> list[torch.Tensor]:
    """What forty draws make of a stack (C, H, W) at a patch of 64."""
    return [deform(stack[None], 64, only(**ranges), generator(seed))[0] for seed in range(DRAWS)]


def ellipse(height: int, width: int, semi_axes=(14.0, 14.0), center=(0.0, 0.0)) -> torch.Tensor:
    """(1, H, W) with a soft edge; semi-axes and place, from the plane's middle, down and right in voxels."""
    down = torch.arange(height)[:, None] - (height - 1) / 2 - center[0]
    right = torch.arange(width)[None] - (width - 1) / 2 - center[1]
    radius = torch.hypot(down / semi_axes[0], right / semi_axes[1])
    return (0.5 + (1 - radius) * min(semi_axes)).clamp(0, 1)[None]


def moments(plane: torch.Tensor) -> tuple[float, np.ndarray, np.ndarray]:
    """Area, centroid (down, right) from the middle, and covariance of a bright shape in (1, H, W)."""
    weight = plane[0].double().numpy()
    places = np.stack(np.meshgrid(*(np.arange(size) - (size - 1) / 2 for size in weight.shape), indexing="ij"))
    centroid = (weight * places).sum(axis=(1, 2)) / weight.sum()
    apart = places - centroid[:, None, None]
    return weight.sum(), centroid, np.einsum("hw,ahw,bhw->ab", weight, apart, apart) / weight.sum()


@pytest.mark.parametrize("name", sorted(CONTRAST))
def test_each_range_of_contrast_alone_changes_the_input_and_others_leave_it(name):
    planes = tissue(16, 5, 24, 24)
    after = varied(planes, **{name: 1.0 if name == "thick_slices" else getattr(Augmentation(), name)})
    assert (after - planes).abs().amax(dim=(1, 2, 3)).median() > 0.01
    unchanged = varied(planes, **dict.fromkeys(GEOMETRY | LESIONS, 0.9))
    torch.testing.assert_close(unchanged, planes, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(GEOMETRY))
def test_each_range_of_geometry_alone_moves_the_plane_and_others_leave_it(name):
    plane = tissue(1, 64, 64)
    draws = moved(plane, **{name: getattr(Augmentation(), name)})
    assert np.mean([not torch.allclose(draw, plane, atol=1e-3) for draw in draws]) > 0.3
    unmoved = moved(plane, **dict.fromkeys(CONTRAST | LESIONS, 0.9))[0]
    torch.testing.assert_close(unmoved, plane, atol=1e-4, rtol=0)


# ---- contrast


def test_gamma_is_one_power_for_each_sample_and_keeps_0_and_1():
    planes = tissue(16, 3, 12, 12)
    planes[:, :, 0, 0], planes[:, :, 0, 1] = 0.0, 1.0
    after = varied(planes, gamma=0.35)
    assert (after[:, :, 0, 0] == 0).all()
    torch.testing.assert_close(after[:, :, 0, 1], torch.ones(16, 3))
    power = (after.log() / planes.log())[:, :, 1:].flatten(1)
    assert (power.amax(1) - power.amin(1)).max() < 1e-3
    logarithm = power.mean(1).log()
    assert 0.15 < logarithm.abs().max() <= 0.351
    assert logarithm.min() < -0.05 < 0.05 < logarithm.max()


def test_gain_is_one_factor_for_each_sample():
    planes = tissue(16, 3, 12, 12)
    factor = (varied(planes, gain=0.12) / planes).flatten(1)
    assert (factor.amax(1) - factor.amin(1)).max() < 1e-4
    assert 0.88 <= factor.min() < 0.96
    assert 1.04 < factor.max() <= 1.12


def test_a_bias_field_is_a_smooth_factor_alike_for_all_planes():
    planes = tissue(16, 3, 64, 64)
    factor = varied(planes, bias_field=0.3) / planes
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    span = factor.amax(dim=(1, 2, 3)) - factor.amin(dim=(1, 2, 3))
    assert span.median() > 0.1
    steps = torch.maximum(factor.diff(dim=2).abs().amax(dim=(1, 2, 3)), factor.diff(dim=3).abs().amax(dim=(1, 2, 3)))
    assert (steps < 0.12 * span).all()  # nodes are 21 voxels apart: a tenth of the span a voxel is the steepest
    assert factor.log().mean() == pytest.approx(0, abs=0.1)


def test_noise_is_white_without_bias_and_leaves_most_air_exactly_0():
    planes = torch.ones(DRAWS, 3, 32, 32)
    planes[..., :8] = 0
    after = varied(planes, noise=0.05)
    noise = (after - planes)[..., 8:]
    assert noise.mean() == pytest.approx(0, abs=1e-3)
    deviation = noise.std(dim=(1, 2, 3))
    assert deviation.max() < 0.0515  # a uniform draw up to 0.05, known to within 3 %
    assert deviation.mean() == pytest.approx(0.025, abs=0.008)
    beside = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert beside == pytest.approx(0, abs=0.02)
    is_exact = (after[..., :8] == 0).all(dim=1).all(dim=1).all(dim=1)
    assert is_exact.float().mean() == pytest.approx(0.7, abs=0.2)
    assert (after[~is_exact][..., :8] > 0).all()  # magnitudes


def test_the_bend_is_a_sum_of_three_sines_below_white_matter():
    values = torch.linspace(0, 1.5, 151)
    after = varied(values.expand(16, 1, 1, 151).contiguous(), bend=0.06)[:, 0, 0]
    assert (after[:, 0] == 0).all()
    torch.testing.assert_close(after[:, 100:], values[100:].expand(16, -1), atol=1e-5, rtol=0)
    below = values[:101].double().numpy()
    sines = np.stack([np.sin(waves * np.pi * below) for waves in (1, 2, 3)], axis=1)
    change = (after[:, :101] - values[:101]).double().numpy().T
    heights, *_ = np.linalg.lstsq(sines, change, rcond=None)
    np.testing.assert_allclose(sines @ heights, change, atol=1e-5)
    largest = np.abs(heights).max(axis=1)
    limits = 0.06 / np.array([1, 2, 3])
    assert ((0.6 * limits < largest) & (largest <= 1.001 * limits)).all()


def test_blur_keeps_a_constant_and_spreads_a_point_along_each_axis_in_half_of_the_samples():
    flat = varied(torch.full((DRAWS, 3, 16, 16), 0.7), blur_sigma=1.0)
    torch.testing.assert_close(flat[..., 3:-3, 3:-3], torch.full((DRAWS, 3, 10, 10), 0.7))
    point = torch.zeros(DRAWS, 3, 15, 15)
    point[..., 7, 7] = 1
    after = varied(point, blur_sigma=1.0)
    torch.testing.assert_close(after.sum(dim=(2, 3)), torch.ones(DRAWS, 3))
    spread = np.array([np.diag(moments(sample[:1])[2]) for sample in after])
    assert 0.5 < spread.max() < 1.1  # sigma squared; 0.05 is the least sigma, and is added
    assert (spread > 0.1).mean() == pytest.approx(0.5 * (1 - 0.1**0.5), abs=0.15)
    assert ((spread > 0.1).sum(axis=1) == 1).any()  # the axes are drawn apart
    noisy = tissue(DRAWS, 3, 24, 24)
    fall = varied(noisy, blur_sigma=1.0)[..., 3:-3, 3:-3].var(dim=(1, 2, 3)) / noisy[..., 3:-3, 3:-3].var(dim=(1, 2, 3))
    assert fall.min() < 0.3
    assert fall.max() < 1.001


def test_thick_slices_draw_every_neighbour_by_one_share_towards_the_middle_plane():
    planes = tissue(DRAWS, 5, 12, 12)
    after = varied(planes, thick_slices=0.4)
    torch.testing.assert_close(after[:, 2], planes[:, 2])
    way = planes[:, 2:3] - planes
    pull = ((after - planes) * way).sum(dim=(1, 2, 3)) / way.square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(after, planes + pull[:, None, None, None] * way)
    assert 0.5 < pull.max() <= 1
    assert (pull > 1e-3).float().mean() == pytest.approx(0.4, abs=0.2)


# ---- geometry


def test_zoom_changes_the_size_of_a_disc_but_neither_its_shape_nor_its_place():
    disc = ellipse(64, 96)
    before = moments(disc)[0]
    growths = []
    for draw in moved(disc, zoom=0.2):
        area, centroid, spread = moments(draw)
        growths.append((area / before) ** 0.5)
        np.testing.assert_allclose(centroid, 0, atol=0.05)
        assert spread[0, 0] == pytest.approx(spread[1, 1], rel=0.02)
    assert 1 / 1.21 < min(growths) < 0.92
    assert 1.08 < max(growths) < 1.21


def test_a_shift_moves_a_disc_and_keeps_its_size():
    disc = ellipse(64, 96)
    places = []
    for draw in moved(disc, shift=0.1):
        area, centroid, _ = moments(draw)
        places.append(centroid)
        assert area == pytest.approx(moments(disc)[0], rel=0.005)
    largest = np.abs(places).max(axis=0)
    assert 2 < largest[0] < 3.21  # a tenth of half of 64
    assert 3 < largest[1] < 4.81  # a tenth of half of 96
    assert abs(np.corrcoef(np.transpose(places))[0, 1]) < 0.5


def test_a_rotation_turns_an_ellipse_and_keeps_its_axes():
    before, _, spread_before = moments(ellipse(64, 96, (20.0, 10.0)))
    angles = []
    for draw in moved(ellipse(64, 96, (20.0, 10.0)), rotation_degrees=20.0):
        area, _, spread = moments(draw)
        assert area == pytest.approx(before, rel=0.01)
        np.testing.assert_allclose(np.linalg.eigvalsh(spread), np.diag(spread_before)[::-1], rtol=0.03)
        angles.append(np.rad2deg(0.5 * np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1])))
    assert -20.2 < min(angles) < -14
    assert 14 < max(angles) < 20.2


def test_half_of_the_draws_are_mirrored_left_to_right_and_the_others_stay():
    plane = tissue(1, 64, 64)
    mirrored = []
    for draw in moved(plane, flip=0.5):
        is_mirrored = torch.allclose(draw, plane.flip(-1), atol=1e-4)
        assert is_mirrored or torch.allclose(draw, plane, atol=1e-4)
        mirrored.append(is_mirrored)
    assert np.mean(mirrored) == pytest.approx(0.5, abs=0.2)


def test_a_deformation_bends_a_disc_smoothly_and_all_channels_alike():
    disc = ellipse(64, 64)
    before = moments(disc)[0]
    changes = []
    for draw in moved(disc.expand(3, 64, 64), deformation=0.04):
        assert (draw == draw[:1]).all()
        assert moments(draw[:1])[0] == pytest.approx(before, rel=0.2)
        changes.append(float((draw[0] - disc[0]).abs().sum()) / before)
    assert 0.02 < np.median(changes) < 0.15


def test_a_deformation_is_no_affine_map_and_moves_neighbours_alike():
    places = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij")) - 31.5
    inside = (slice(None), slice(6, -6), slice(6, -6))
    affine = np.stack([np.ones(52 * 52), *places[inside].reshape(2, -1)], axis=1)
    for draw in moved(torch.from_numpy(places).float(), deformation=0.04):
        way = (draw.double().numpy() - places)[inside]  # voxels
        assert 0.15 < way.std() < 1.28  # half of 0.04 of 32 voxels is 0.64 at the nodes
        assert max(np.abs(np.diff(way, axis=axis)).max() for axis in (1, 2)) < 0.4  # nothing is folded over
        residual = way.reshape(2, -1).T - affine @ np.linalg.lstsq(affine, way.reshape(2, -1).T, rcond=None)[0]
        assert residual.std() > 0.1
