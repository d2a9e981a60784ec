"""The numbers of judging by hand or by a second implementation: trust in the predicted error, statistics over subjects."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from T1T2TranslationLib.evaluation.calibration import area_under_roc, calibration, sparsification
from T1T2TranslationLib.evaluation.statistics import estimate, paired_p_value

# ---- predicted error


def test_a_laplace_distribution_is_covered_as_stated():
    random = np.random.default_rng(5)
    scale = random.uniform(0.02, 0.2, 200_000)
    found = calibration(np.abs(random.laplace(0, scale)), scale)
    assert found["coverage"] == pytest.approx(0.9, abs=0.005)
    assert found["ratio"] == pytest.approx(1, abs=0.02)


def test_the_area_under_the_roc_equals_the_rank_test_with_ties():
    random = np.random.default_rng(6)
    score, positive = random.integers(0, 20, 500), random.random(500) < 0.3
    expected = mannwhitneyu(score[positive], score[~positive]).statistic / (positive.sum() * (~positive).sum())
    assert area_under_roc(score, positive) == pytest.approx(expected)
    assert np.isnan(area_under_roc(score, positive & False))


def test_sparsification_leaves_the_highest_scored_out_first():
    error = np.arange(1.0, 11.0)
    assert sparsification(error, error)[[0, 5, 9]] == pytest.approx([1, 3 / 5.5, 1 / 5.5])
    assert sparsification(error, -error)[9] == pytest.approx(10 / 5.5)


def test_the_area_between_sparsification_curves_by_hand():
    error = np.arange(1.0, 1001.0)
    assert calibration(error, error)["AUSE"] == pytest.approx(0)
    assert calibration(error, 3 * error)["AUSE"] == pytest.approx(0)  # the order alone matters
    # With k of a thousand kept the best order leaves a mean of (k + 1) / 2, the worst (2001 - k) / 2: apart by 1000 - k.
    # Over k = 100, 200 ... 1000 that is 450 on average, of a mean error of 500.5.
    assert calibration(error, 1001 - error)["AUSE"] == pytest.approx(450 / 500.5, rel=0.002)
    # The two highest tenths are confused: with 900 kept, a hundred of them are larger by 100 each.
    confused = np.concatenate([error[:800], error[900:], error[800:900]])
    assert calibration(error, confused)["AUSE"] == pytest.approx(100 * 100 / 900 / 10 / 500.5, rel=0.02)


# ---- statistics


def test_the_interval_of_equal_values_is_a_point_and_nan_is_nobody():
    assert estimate([0.3, 0.3, 0.3, float("nan"), float("inf")]) == pytest.approx((0.3, 0.3, 0.3, 3))
    assert estimate([]).n == 0


def test_one_or_two_subjects_have_a_mean_but_neither_interval_nor_p_value():
    found = estimate([0.2, 0.4])
    assert (found.mean, found.n) == (pytest.approx(0.3), 2)
    assert np.isnan([found.low, found.high]).all()
    assert found.interval(3) == "(n = 2)"
    assert estimate([0.2, 0.4, 0.6]).interval(1) == "(0.2 to 0.6)"
    assert np.isnan(paired_p_value([1.0, 2.0], [2.0, 3.0]))


def test_the_bootstrap_interval_is_about_two_standard_errors_each_way():
    values = np.random.default_rng(8).normal(1, 0.2, 100)
    found = estimate(values)
    error = values.std() / 10
    assert (found.low, found.high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.01)


def test_six_subjects_all_better_have_the_exact_p_value():
    ours = np.arange(6.0)
    assert paired_p_value(ours, ours + np.arange(1, 7)) == pytest.approx(2 / 2**6)
    assert np.isnan(paired_p_value(ours, ours))
