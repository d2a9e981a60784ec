"""Other papers' conventions against scikit-image, which most of their code calls, and against what each is said to do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from T1T2TranslationLib.evaluation import conventions
from T1T2TranslationLib.evaluation.conventions import CONVENTIONS, Pair

SHAPE = (11, 34, 30)


@pytest.fixture
def a_pair():
    """An ellipsoid of noise in air, not in the grid's middle; slices 0 and 10 are empty."""
    s, h, w = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    brain = s**2 + ((h + 0.2) / 0.7) ** 2 + ((w - 0.1) / 0.6) ** 2 < 0.95
    noise = [gaussian_filter(np.random.default_rng(seed).random(SHAPE), 0.8) for seed in (1, 2)]
    truth, prediction = (
        np.where(brain, (image - image.min()) / np.ptp(image), 0) for image in (noise[0], noise[0] + 2 * noise[1])
    )
    tumour = brain & (np.abs(s) < 0.3) & (h > 0)
    return Pair((0.9 * prediction).astype(np.float32), truth.astype(np.float32), brain.any(axis=(1, 2)), tumour)


def by_scikit_image(p, t, data_range):
    """PSNR and SSIM of each slice, their means."""
    ranges = np.broadcast_to(data_range, len(p))
    slices = list(zip(t, p, ranges, strict=True))
    return {
        "PSNR": np.mean([peak_signal_noise_ratio(a, b, data_range=r) for a, b, r in slices]),
        "SSIM": np.mean([structural_similarity(a, b, data_range=r) for a, b, r in slices]),
    }


def test_whole_slices_equal_scikit_image(a_pair):
    p, t = a_pair.slices()
    assert len(p) == 9
    assert conventions.whole_slices(a_pair) == pytest.approx(by_scikit_image(p, t, 1.0), abs=1e-4)


def test_own_maximum_equals_scikit_image_on_slices_divided_by_their_maximum(a_pair):
    p, t = ([image / image.max() for image in images] for images in a_pair.slices())
    assert conventions.own_maximum(a_pair) == pytest.approx(by_scikit_image(p, t, 1.0), abs=1e-4)


def test_own_mean_equals_scikit_image_on_slices_divided_by_their_mean(a_pair):
    p, t = ([image / image.mean() for image in images] for images in a_pair.slices())
    expected = by_scikit_image(p, t, [image.max() for image in t])
    assert conventions.own_mean(a_pair) == pytest.approx(expected, abs=1e-4)


def test_stretching_forgives_an_offset_and_a_gain(a_pair):
    raised = Pair(0.25 + 0.5 * a_pair.truth, a_pair.truth, a_pair.has_brain, None)
    for score in (conventions.stretched_slices, conventions.stretched_volume):
        assert score(raised)["SSIM"] == pytest.approx(1, abs=1e-5)
        assert score(raised)["PSNR"] > 80
    assert conventions.whole_slices(raised)["PSNR"] < 15


def test_stretched_volume_equals_scikit_image_in_3d_with_the_range_of_a_float(a_pair):
    p, t = ((image - image.min()) / np.ptp(image) for image in (a_pair.prediction, a_pair.truth))
    found = conventions.stretched_volume(a_pair)
    assert found["SSIM"] == pytest.approx(structural_similarity(t, p, data_range=2.0), abs=1e-4)
    assert found["PSNR"] == pytest.approx(peak_signal_noise_ratio(t, p, data_range=1.0), abs=1e-4)


def test_range_not_given_takes_the_range_of_a_float_for_ssim_only(a_pair):
    p, t = a_pair.slices()
    found = conventions.range_not_given(a_pair)
    assert found["SSIM"] == pytest.approx(by_scikit_image(p, t, 2.0)["SSIM"], abs=1e-4)
    assert found["PSNR"] == pytest.approx(by_scikit_image(p, t, 1.0)["PSNR"], abs=1e-4)


def full_gaussian_map(p, t):
    return structural_similarity(t, p, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True)[
        1
    ]


def test_whole_grid_is_the_gaussian_map_of_scikit_image_averaged_over_all_of_it(a_pair):
    found = conventions.whole_grid(a_pair)
    assert found["SSIM"] == pytest.approx(full_gaussian_map(a_pair.prediction, a_pair.truth).mean(), abs=1e-4)
    assert found["PSNR"] == pytest.approx(peak_signal_noise_ratio(a_pair.truth, a_pair.prediction, data_range=1.0), abs=1e-4)


def test_tumour_in_zeros_is_nearly_perfect_for_any_grey(a_pair):
    grey = Pair(np.where(a_pair.truth > 0, np.float32(0.5), 0), a_pair.truth, a_pair.has_brain, a_pair.tumour)
    scaled = []
    for image in (grey.prediction, grey.truth):
        low, high = np.percentile(image, [0.5, 99.5])
        scaled.append(np.clip((image - low) / (high - low), 0, 1))
    p, t = (np.where(grey.tumour, image, 0) for image in scaled)
    found = conventions.tumour_in_zeros(grey)["SSIM"]
    assert found == pytest.approx(full_gaussian_map(p, t).mean(), abs=1e-4)
    assert found > full_gaussian_map(p, t)[grey.tumour].mean() + 0.05
    assert conventions.tumour_in_zeros(Pair(p, t, grey.has_brain, None)) == {}


def test_equal_images_are_perfect_by_every_convention(a_pair):
    same = Pair(a_pair.truth, a_pair.truth, a_pair.has_brain, a_pair.tumour)
    for convention in CONVENTIONS:
        assert convention.score(same)["SSIM"] == pytest.approx(1, abs=1e-5), convention.name


def test_the_convention_moves_the_score_of_the_same_images(a_pair):
    found = [convention.score(a_pair)["SSIM"] for convention in CONVENTIONS]
    assert max(found) - min(found) > 0.1
