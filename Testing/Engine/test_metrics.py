"""Protocol T2P-1 against scikit-image, SciPy and values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, gaussian_laplace
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from skimage.metrics import normalized_mutual_information as skimage_nmi
from T1T2TranslationLib import metrics

SHAPE = (17, 19, 23)
SPACING_MM = (0.9, 0.9, 3.0)


@pytest.fixture
def truth():
    image = gaussian_filter(np.random.default_rng(1).random(SHAPE), 1.0)
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


@pytest.fixture
def prediction(truth):
    noisy = 0.7 * truth + 0.1 + 0.2 * gaussian_filter(np.random.default_rng(2).random(SHAPE), 0.7)
    noisy[0, 0, 0], noisy[-1, -1, -1] = 0, 1  # the full range, as scikit-image bins from minimum to maximum
    return noisy.astype(np.float32)


@pytest.fixture
def everywhere():
    return np.ones(SHAPE, dtype=bool)


@pytest.fixture
def part():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[4:11, 6:15, 3:20] = True
    return mask


def test_ssim_equals_scikit_image(truth, prediction):
    _, expected = structural_similarity(
        truth, prediction, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True
    )
    np.testing.assert_allclose(metrics.structural_similarity_map(prediction, truth), expected, atol=2e-5)


def test_ssim_of_a_region_is_the_mean_of_the_map_over_it(truth, prediction, part):
    _, expected = structural_similarity(
        truth, prediction, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True
    )
    scores = metrics.compute_metrics(prediction, truth, {"brain": part}, SPACING_MM)
    assert scores["brain"]["SSIM"] == pytest.approx(expected[part].mean(), abs=1e-5)


def test_psnr_equals_scikit_image(truth, prediction, everywhere):
    expected = peak_signal_noise_ratio(truth, prediction, data_range=1.0)
    assert metrics.peak_signal_to_noise_ratio(prediction, truth, everywhere) == pytest.approx(expected, abs=1e-4)


def test_mse_and_psnr_of_a_region_equal_scikit_image_on_its_voxels(truth, prediction, part):
    assert metrics.mean_squared_error(prediction, truth, part) == pytest.approx(mean_squared_error(truth[part], prediction[part]))
    expected = peak_signal_noise_ratio(truth[part], prediction[part], data_range=1.0)
    assert metrics.peak_signal_to_noise_ratio(prediction, truth, part) == pytest.approx(expected, abs=1e-4)


def test_nmi_equals_scikit_image(truth, prediction, everywhere):
    expected = skimage_nmi(truth, prediction, bins=metrics.NMI_BINS)
    assert metrics.normalized_mutual_information(prediction, truth, everywhere) == pytest.approx(expected, abs=1e-4)


def test_nmi_of_a_region_is_binned_over_the_whole_range_not_the_regions_own(truth, part):
    """By hand: two equally frequent levels that tell each other share all of their one bit."""
    levels = np.where(np.arange(SHAPE[2]) % 2, 0.3, 0.6) * np.ones(SHAPE)
    even = part & (np.arange(SHAPE[2]) < 19)
    assert metrics.normalized_mutual_information(1 - levels, levels, even) == pytest.approx(2)
    assert metrics.normalized_mutual_information(levels * 0, levels, even) == pytest.approx(1)


def test_laplacian_of_gaussian_and_blur_equal_scipy(truth):
    np.testing.assert_allclose(metrics.laplacian_of_gaussian(truth), _scipy_laplacian(truth), atol=1e-5)
    np.testing.assert_allclose(metrics.gaussian_blur(truth, 1.5), gaussian_filter(truth, 1.5, mode="reflect"), atol=1e-5)


def _scipy_laplacian(image):
    """scipy.ndimage.gaussian_laplace, whose second derivative is not forced to sum to zero either."""
    return gaussian_laplace(image.astype(np.float64), 1.5, mode="reflect")


def test_hfen_of_a_region_equals_scipy(truth, prediction, part):
    error, edges = _scipy_laplacian(prediction - truth)[part], _scipy_laplacian(truth)[part]
    expected = np.linalg.norm(error) / np.linalg.norm(edges)
    assert metrics.compute_metrics(prediction, truth, {"brain": part}, SPACING_MM)["brain"]["HFEN"] == pytest.approx(
        expected, rel=1e-4
    )


def test_sharpness_is_the_ratio_of_mean_gradients_in_millimetres(part):
    ramp = np.broadcast_to(np.arange(SHAPE[2], dtype=np.float32) / SHAPE[2], SHAPE)
    slopes = metrics.gradient_magnitude(ramp, SPACING_MM)
    assert slopes[part] == pytest.approx(1 / (SHAPE[2] * 3.0))
    assert metrics.sharpness(0.25 * slopes, slopes, part) == pytest.approx(0.25)


def test_mae_and_mse_by_hand(part):
    truth = np.zeros(SHAPE, dtype=np.float32)
    prediction = np.full(SHAPE, 9.0, dtype=np.float32)  # wrong outside the region, which must not count
    prediction[part] = 0.2
    assert metrics.mean_absolute_error(prediction, truth, part) == pytest.approx(0.2)
    assert metrics.mean_squared_error(prediction, truth, part) == pytest.approx(0.04)


def test_equal_images_are_perfect(truth, part):
    scores = metrics.compute_metrics(truth, truth, {"brain": part}, SPACING_MM)["brain"]
    assert scores["MAE"] == 0
    assert scores["PSNR"] == np.inf
    assert [scores[name] for name in ("SSIM", "sharpness", "NMI", "gain")] == pytest.approx([1, 1, 2, 1], abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(gain=st.floats(0.3, 3), offset=st.floats(-0.3, 0.3))
def test_gain_and_offset_are_found_and_taken_away(gain, offset):
    truth = np.random.default_rng(3).random(SHAPE).astype(np.float32)
    prediction = ((truth - offset) / gain).astype(np.float32)
    region = np.ones(SHAPE, dtype=bool)
    assert metrics.gain_and_offset(prediction, truth, region) == pytest.approx((gain, offset), abs=1e-4)
    scores = metrics.compute_metrics(prediction, truth, {"brain": region}, SPACING_MM)["brain"]
    assert scores["fitted MAE"] == pytest.approx(0, abs=1e-4)


def test_a_constant_prediction_is_fitted_by_the_mean(truth, part):
    grey = np.full(SHAPE, 0.4, dtype=np.float32)
    assert metrics.fitted_to(grey, truth, part)[part] == pytest.approx(truth[part].mean(), abs=1e-5)
    assert metrics.fitted_to(grey, truth, part)[~part] == pytest.approx(0.4)


def test_tumour_contrast_is_synthetic_over_real_and_keeps_the_sign():
    brain = np.ones(SHAPE, dtype=bool)
    tumour = np.zeros(SHAPE, dtype=bool)
    tumour[5:9, 5:9, 5:9] = True
    real, half, dark = (np.where(tumour, value, 0.4).astype(np.float32) for value in (0.8, 0.6, 0.2))
    assert metrics.tumour_contrast(half, real, tumour, brain) == pytest.approx(0.5)
    assert metrics.tumour_contrast(dark, real, tumour, brain) == pytest.approx(-0.5)
    scores = metrics.compute_metrics(half, real, {"brain": brain, "tumour": tumour}, SPACING_MM)
    assert scores["tumour"]["contrast"] == pytest.approx(0.5)


def test_the_seed_frame_takes_slices_with_more_than_17_percent_brain_of_the_box():
    brain = np.zeros(SHAPE, dtype=bool)
    brain[2:12, 3:13, 5:15] = True  # a box of 10 x 10 x 10
    brain[2:12, 3:13, 14] = False
    brain[2, 3:13, 14] = brain[3, 3:10, 14] = True  # a slice with exactly 17 %
    truth = np.zeros(SHAPE, dtype=np.float32)
    prediction = np.where(np.arange(SHAPE[2]) == 6, 0.9, 0.0) * np.ones(SHAPE)
    errors = metrics.slice_errors(prediction, truth, brain)
    assert errors.numbers.tolist() == list(range(5, 14))
    assert errors.absolute == pytest.approx([0, 0.9, 0, 0, 0, 0, 0, 0, 0])
    frame = metrics.seed_frame(errors)
    assert frame["slices"] == 9
    assert frame["MAE"] == pytest.approx(0.9 / 9)
    assert frame["MSE"] == pytest.approx(0.81 / 9)
    assert frame["total MAE"] == pytest.approx(0.9)


def test_the_seed_frame_cuts_along_the_axial_axis():
    brain = np.zeros(SHAPE, dtype=bool)
    brain[2:8, 3:13, 5:15] = True
    errors = metrics.slice_errors(brain * 0.5, brain * 0.5, brain, axial_axis=0)
    assert errors.numbers.tolist() == list(range(2, 8))
    assert metrics.seed_frame(errors)["slices"] == 6


def test_the_unit_is_the_995th_percentile_over_the_brain_clipped(part):
    image = np.full(SHAPE, 5000, dtype=np.int16)  # bright scalp does not count
    image[part] = np.linspace(-50, 1000, part.sum())
    unit = metrics.to_unit(image, part)
    assert (unit.min(), unit.max()) == (0, 1)
    assert np.percentile(unit[part], 99.5) == pytest.approx(1, abs=1e-3)
    assert metrics.percentile_of_brain(image, part) == pytest.approx(np.percentile(image[part], 99.5), abs=1)


@pytest.mark.parametrize("level", [0, -3])
def test_an_image_that_is_dark_over_the_brain_has_no_unit(part, level):
    with pytest.raises(ValueError, match="zero over the brain"):
        metrics.to_unit(np.full(SHAPE, level, dtype=np.int16), part)


def test_shapes_that_differ_and_empty_regions_are_refused(truth, prediction, part):
    with pytest.raises(ValueError, match="different grids"):
        metrics.compute_metrics(prediction[1:], truth, {"brain": part}, SPACING_MM)
    with pytest.raises(ValueError, match="no voxels"):
        metrics.compute_metrics(prediction, truth, {"brain": part & False}, SPACING_MM)


def test_far_away_errors_do_not_reach_a_region(truth, prediction):
    other = prediction.copy()
    small = np.zeros(SHAPE, dtype=bool)
    small[2:5, 2:6, 3:20] = True
    other[12:, 16:, :] = 0
    scores = [metrics.compute_metrics(image, truth, {"brain": small}, SPACING_MM)["brain"] for image in (prediction, other)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
