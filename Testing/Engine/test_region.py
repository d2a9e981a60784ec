"""A region of interest: inside it the result of the whole scan, bit for bit; outside it nothing; and less work."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import torch
from givens import a_t2_head as a_noise_t2
from givens import save_untrained_model
from phantom import a_head_volume
from T1T2TranslationLib.cli import main
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.inference import translate
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.network import TranslationNetwork
from T1T2TranslationLib.reference import compare
from T1T2TranslationLib.samples import phantom
from T1T2TranslationLib.volume import Volume


def a_region(volume: Volume, *box: slice, name: str = "box") -> Volume:
    """Non-zero in a part of the grid of `volume`."""
    array = np.zeros(volume.shape, np.uint8)
    array[box] = 2
    return Volume(array, volume.affine, name)


class Counting(TranslationNetwork):
    """The real network; how many planes it was given in each call."""

    batches: ClassVar[list[int]] = []

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        Counting.batches.append(len(planes))
        return super().forward(planes)


@pytest.fixture
def a_counting_model(the_model, monkeypatch):
    monkeypatch.setattr(Counting, "batches", [])
    network = Counting(**the_model.network.config.as_arguments())
    network.load_state_dict(the_model.network.state_dict())
    return dataclasses.replace(the_model, network=network)


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "degrees", "box"),
    [
        ((45, 53, 43), (1.0, 1.0, 1.0), 0, (slice(12, 30), slice(20, 44), slice(25, 31))),
        ((53, 57, 19), (0.9, 0.9, 3.0), 17, (slice(20, 41), slice(8, 33), slice(7, 9))),
        ((75, 89, 79), (0.6, 0.6, 0.55), 9, (slice(30, 31), slice(30, 60), slice(33, 50))),  # resampled on every axis
    ],
)
def test_inside_the_region_the_result_is_that_of_the_whole_bit_for_bit(the_model, shape, spacing_mm, degrees, box):
    head = a_head_volume(shape, spacing_mm, degrees)
    inside = a_region(head, *box)
    whole, part = (translate(head, the_model, region=region, device="cpu") for region in (None, inside))
    for name in ("synthetic", "predicted_error"):
        wanted, found = getattr(whole, name).array, getattr(part, name).array
        np.testing.assert_array_equal(found, np.where(inside.array, wanted, 0))
        assert found.any()
    assert part.checks == whole.checks
    assert (whole.provenance["region_given"], part.provenance["region_given"]) == (False, True)
    assert any("region of interest" in note for note in part.notes)


def test_only_batches_that_touch_the_region_are_computed_and_progress_stays_true(a_head, a_counting_model):
    told = []
    region = a_region(a_head, slice(15, 30), slice(15, 30), slice(18, 22))
    translate(a_head, a_counting_model, device="cpu", progress=lambda fraction, message: told.append((fraction, message)))
    whole, Counting.batches = sum(Counting.batches), []
    told.clear()
    translate(
        a_head,
        a_counting_model,
        region=region,
        device="cpu",
        progress=lambda fraction, message: told.append((fraction, message)),
    )
    assert 4 <= sum(Counting.batches) <= 16 < whole  # four planes lie in at most two batches of eight
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert told[-1] == (1.0, "Done")
    assert sum("s left" in message for _, message in told) == len(Counting.batches)


def test_a_region_on_another_grid_and_a_mask_hold_together(a_head, the_model):
    coarse = Volume(np.ones((9, 11, 10), np.uint8), a_head.affine @ np.diag([2.0, 2, 2, 1]), "corner")  # up to voxel 17, 21, 19
    mask = a_region(a_head, slice(10, 40), slice(10, 40), slice(10, 40))
    result = translate(a_head, the_model, mask=mask, region=coarse, device="cpu").synthetic.array
    assert result[10:17, 10:21, 10:19].any()
    place = np.zeros(a_head.shape, bool)
    place[10:18, 10:22, 10:20] = True
    assert not result[~place].any()


@pytest.mark.parametrize("place", ["air", "elsewhere"])
def test_a_region_that_misses_the_head_is_refused(the_model, place):
    volume = a_head_volume((85, 93, 83))
    region = a_region(volume, slice(0, 5), slice(0, 5), slice(0, 5))
    if place == "elsewhere":
        region = Volume(np.ones((9, 9, 9), np.uint8), volume.affine @ np.array(np.eye(4) + np.eye(4, k=3) * 400), "box")
    with pytest.raises(UnsuitableVolume, match=r"region of interest misses the head in 'a T1 head'.*Move it"):
        translate(volume, the_model, region=region, device="cpu")


def test_a_greyscale_image_is_no_region(a_head, the_model):
    with pytest.raises(UnsuitableVolume, match=r"The region of interest 'scan' is a greyscale image"):
        translate(a_head, the_model, region=Volume(a_head.array, a_head.affine, "scan"), device="cpu")


# ---- compared with a real image


def test_the_error_is_measured_inside_region_and_brain_in_the_unit_of_the_whole_brain(a_head, a_t2_head):
    brain = a_head.with_array((a_head.array > 0).astype(np.uint8))
    region = a_region(a_head, slice(10, 30), slice(10, 44), slice(15, 28))
    wanted = region.array > 0
    synthetic = a_t2_head.with_array(np.where(wanted, a_t2_head.array // 2, 0))
    found = compare(synthetic, a_t2_head, a_head, brain, region=region)
    whole = compare(synthetic, a_t2_head, a_head, brain)
    np.testing.assert_array_equal(found.reference.array, whole.reference.array)
    np.testing.assert_array_equal(found.signed_error.array, np.where(wanted, whole.signed_error.array, 0))
    inside = wanted & (a_head.array > 0)
    truth = np.clip(a_t2_head.array / np.percentile(a_t2_head.array[brain.array > 0], 99.5), 0, 1)
    by_hand = np.abs(synthetic.array / 1000 - truth)[inside].mean()
    assert found.metrics["brain in the region"]["MAE"] == pytest.approx(by_hand, rel=1e-5)
    assert set(found.metrics) <= {"brain in the region", "CSF in the region"}


def test_the_regions_rim_is_no_error(a_head, a_t2_head):
    brain = a_head.with_array((a_head.array > 0).astype(np.uint8))
    unit = np.percentile(a_t2_head.array[brain.array > 0], 99.5)
    perfect = a_t2_head.with_array(np.clip(a_t2_head.array / unit * 1000, 0, 1000).round().astype(np.int16))
    region = a_region(a_head, slice(18, 27), slice(18, 27), slice(18, 27))
    cut = perfect.with_array(np.where(region.array, perfect.array, 0))
    scores = compare(cut, a_t2_head, a_head, brain, region=region).metrics["brain in the region"]
    assert scores["SSIM"] == pytest.approx(1, abs=1e-3)
    assert scores["sharpness"] == pytest.approx(1, abs=1e-2)


def test_a_region_without_brain_is_compared_and_not_measured(a_head, a_t2_head):
    brain = a_region(a_head, slice(10, 35), slice(10, 43), slice(10, 33))
    found = compare(a_t2_head, a_t2_head, a_head, brain, region=a_region(a_head, slice(0, 8), slice(0, 8), slice(0, 8)))
    assert found.metrics == {}
    assert not found.signed_error.array.any()


# ---- in the shell


def test_the_command_takes_a_region_and_records_it(tmp_path, capsys):
    model = save_untrained_model(tmp_path / "untrained")
    head = phantom("T1", (5.0, 5.0, 5.0))
    write_volume(head, tmp_path / "T1.nii.gz")
    region = a_region(head, slice(10, 20), slice(10, 20), slice(10, 20))
    write_volume(region, tmp_path / "box.nii.gz")
    given = [str(tmp_path / "T1.nii.gz"), "-o", str(tmp_path / "T2.nii.gz"), "--model", str(model), "--device", "cpu"]
    assert main(["translate", *given, "--region", str(tmp_path / "box.nii.gz")]) == 0
    assert not read_volume(tmp_path / "T2.nii.gz").array[region.array == 0].any()
    assert "Only a region of interest was translated" in capsys.readouterr().out
    record = (tmp_path / "T2.json").read_text("utf-8")
    assert '"region_given": true' in record
    assert '"region_sha256": "' in record


def test_a_region_goes_with_one_scan(tmp_path, capsys):
    write_volume(a_noise_t2(), tmp_path / "scans" / "T1.nii.gz")
    with pytest.raises(SystemExit):
        main(["translate", str(tmp_path / "scans"), "-o", str(tmp_path / "out"), "--region", "box.nii.gz"])
    assert "--region works with one scan" in capsys.readouterr().err
