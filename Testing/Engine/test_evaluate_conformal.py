"""The stated interval: the factor by hand, cross-fitting by patient and fold, coverage on data whose law is known."""

import numpy as np
import pytest
from T1T2TranslationLib.evaluation.conformal import (
    CHOSEN,
    FACTORS,
    Errors,
    Form,
    Patient,
    calibrate,
    conformal_factor,
    cross_fitted,
    mean_error_factor,
    sample_of,
    share_within,
    uncovered,
)

ALONE = Form("alone", added=0.0, largest_risk=1.0)


def a_patient(name, real, predicted=0.1, fold=None, person=""):
    """A brain of a hundred voxels with this real and predicted error everywhere."""
    return Patient(name, person or name, fold, Errors(np.full(100, real), np.full(100, predicted)))


def laplace_patient(number, gain=1.0, fold=None):
    """Errors that follow their prediction's Laplace law, but for one factor of the patient."""
    random = np.random.default_rng(number)
    predicted = random.uniform(0.02, 0.2, 20_000)
    return Patient(f"p{number}", f"p{number}", fold, Errors(np.abs(random.laplace(0, gain * predicted)), predicted))


def test_eight_sessions_of_seven_people_calibrate_nothing():
    sessions = [laplace_patient(number) for number in range(8)]
    one_person_twice = [*sessions[:7], Patient("p7", "p0", None, sessions[7].brain)]
    assert calibrate(sessions).factor < np.inf
    assert calibrate(one_person_twice).factor == np.inf


def test_the_factor_is_the_smallest_with_bounded_risk():
    curves = [1.0 * (FACTORS < 2.0)] * 8 + [1.0 * (FACTORS < 5.0)]
    assert conformal_factor(curves, alpha=0.1) == pytest.approx(5, rel=0.01)  # (9 R + 1) / 10 <= 0.1: nobody may fail
    assert conformal_factor(curves, alpha=0.2) == pytest.approx(2, rel=0.01)  # one of nine may
    assert conformal_factor(curves[:8], alpha=0.1) == np.inf


def test_a_bound_on_the_risk_of_one_patient_takes_the_place_of_the_one():
    curves = [1.0 * (FACTORS < 2.0)] * 8 + [1.0 * (FACTORS < 5.0)]
    # (9 R + 0.3) / 10 with one of nine uncovered, which counts 0.3: 0.06
    assert conformal_factor(curves, alpha=0.1, largest_risk=0.3) == pytest.approx(2, rel=0.01)
    assert conformal_factor(curves, alpha=0.05, largest_risk=0.3) == pytest.approx(5, rel=0.01)
    assert conformal_factor(curves[:2], alpha=0.05, largest_risk=0.3) == np.inf


def test_the_error_factor_makes_the_mean_prediction_the_mean_error_each_patient_counting_once():
    samples = [Errors(np.full(1000, 0.2), np.full(1000, 0.1)), Errors(np.full(10, 0.1), np.full(10, 0.2))]
    assert mean_error_factor(samples) == pytest.approx(1)
    assert mean_error_factor(samples[:1]) == pytest.approx(2)


def test_the_interval_is_made_of_the_corrected_prediction():
    patients = [a_patient(str(number), 0.3) for number in range(20)]
    found = calibrate(patients, Form("", added=0.2, largest_risk=0.3))
    assert found.error_factor == pytest.approx(3)
    assert found.factor * (3 * 0.1 + 0.2) == pytest.approx(0.3, rel=0.01)
    flat = calibrate(patients, Form("", added=0.2, largest_risk=0.3, follows_prediction=False))
    assert flat.factor * 0.2 == pytest.approx(0.3, rel=0.01)


def test_uncovered_is_the_share_of_larger_errors():
    errors = Errors(np.array([0.1, 0.2, 0.4, 0.8]), np.full(4, 0.1))
    curve = uncovered(errors, errors.predicted)
    assert [curve[np.searchsorted(FACTORS, factor)] for factor in (0.5, 1.01, 3, 5, 9)] == [1, 0.75, 0.5, 0.25, 0]


def test_nobody_is_calibrated_by_a_patient_of_the_same_fold_or_the_same_person():
    easy = [a_patient(f"easy {number}", 0.1, fold=0) for number in range(12)]
    hard = [a_patient(f"hard {number}", 0.3, fold=1) for number in range(12)]
    held = cross_fitted([*easy, *hard], ALONE)
    assert held["easy 0"].calibration.factor == pytest.approx(1, rel=0.01)
    assert held["easy 0"].calibration.error_factor == pytest.approx(3)
    assert held["easy 0"].coverage == 1
    assert held["hard 0"].coverage == 0
    sessions = [a_patient("MS-01-1", 0.3, person="MS-01"), a_patient("MS-01-2", 0.3, person="MS-01")]
    alone = cross_fitted([*(a_patient(str(number), 0.1) for number in range(12)), *sessions], ALONE)
    assert alone["MS-01-1"].coverage == 0  # its other session, as hard, was not asked


def test_too_few_others_give_no_interval():
    held = cross_fitted([a_patient("a", 0.1), a_patient("b", 0.1)], CHOSEN)
    assert np.isnan(held["a"].coverage)
    assert cross_fitted([a_patient("a", 0.1)], CHOSEN)["a"].calibration.factor == np.inf


def test_patients_that_follow_the_law_are_covered_as_stated():
    held = cross_fitted([laplace_patient(number) for number in range(30)], Form("", added=0.0, largest_risk=0.3))
    coverages = [one.coverage for one in held.values()]
    assert np.mean(coverages) == pytest.approx(0.907, abs=0.01)  # (29 R + 0.3) / 30 <= 0.1: R = 0.093
    assert share_within(coverages) == 1
    assert held["p3"].ratio == pytest.approx(1, abs=0.03)


def test_something_added_makes_coverage_steadier_where_a_patient_is_wrong_by_one_brightness():
    def patient(number):
        random = np.random.default_rng(number)
        predicted = random.uniform(0.01, 0.2, 20_000)
        shift = random.normal(0, 0.08)  # of the whole patient; the prediction does not know it
        return Patient(str(number), str(number), None, Errors(np.abs(random.laplace(shift, predicted)), predicted))

    patients = [patient(number) for number in range(24)]
    spread = {
        form: np.std([held.coverage for held in cross_fitted(patients, form).values()])
        for form in (CHOSEN, Form("", added=0.0, largest_risk=CHOSEN.largest_risk))
    }
    assert spread.pop(CHOSEN) < 0.8 * next(iter(spread.values()))


def test_tumours_are_reported_apart():
    tumour = Errors(np.array([0.05, 0.5]), np.array([0.1, 0.1]))
    patients = [a_patient(str(number), 0.1) for number in range(12)]
    held = cross_fitted([*patients, Patient("x", "x", None, patients[0].brain, tumour)], ALONE)
    assert held["x"].coverage == 1
    assert held["x"].tumour_coverage == 0.5
    assert np.isnan(held["0"].tumour_coverage)


def test_the_tenth_of_the_brain_that_is_least_sure_is_reported_apart():
    predicted = np.linspace(0.01, 0.1, 1000)
    misled = Errors(np.where(predicted > 0.0955, 1.0, 0.01), predicted)  # wrong in the upper half of that tenth
    held = cross_fitted([*(a_patient(str(number), 0.1) for number in range(12)), Patient("x", "x", None, misled)], ALONE)
    assert held["x"].coverage == pytest.approx(0.95, abs=0.002)
    assert held["x"].least_sure_coverage == pytest.approx(0.5, abs=0.02)


def test_a_sample_is_the_same_every_time_and_never_predicts_nothing():
    real = np.random.default_rng(1).random(50_000)
    first, again = (sample_of(real, np.zeros(50_000), most=1000) for _ in range(2))
    assert first.real.size == 1000
    np.testing.assert_array_equal(first.real, again.real)
    assert first.predicted.min() > 0
    assert first.real.mean() == pytest.approx(0.5, abs=0.05)


def test_the_width_is_twice_the_mean_half_width_of_the_corrected_prediction():
    patients = [a_patient(str(number), 0.3) for number in range(20)]  # a predicted error of 0.1: the correction is 3
    uneven = Patient("x", "x", None, Errors(np.full(4, 0.3), np.array([0.05, 0.05, 0.1, 0.2])))
    held = cross_fitted([*patients, uneven], Form("", added=0.2, largest_risk=0.3))["x"]
    # The others' error of 0.3 is 0.6 of their base 3 * 0.1 + 0.2; here the mean base is 3 * 0.1 + 0.2 as well.
    assert held.calibration.factor == pytest.approx(0.6, rel=0.01)
    assert held.width == pytest.approx(2 * 0.6 * 0.5, rel=0.01)
    flat = cross_fitted([*patients, uneven], Form("", added=0.2, largest_risk=0.3, follows_prediction=False))["x"]
    assert flat.width == pytest.approx(2 * 0.3, rel=0.01)  # the same everywhere, as wide as the others' errors
    nobody = cross_fitted([uneven], ALONE)["x"]
    assert np.isnan(nobody.width)
