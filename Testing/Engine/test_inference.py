"""One path: the result lies on the input's grid, in its unit, and survives a device that fails."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

import numpy as np
import pytest
import torch
from phantom import SEMIAXES_MM, a_head_volume
from T1T2TranslationLib import inference
from T1T2TranslationLib.device import Device
from T1T2TranslationLib.errors import Cancelled, DeviceFailure
from T1T2TranslationLib.head import find_head
from T1T2TranslationLib.inference import predict, translate
from T1T2TranslationLib.network import TranslationNetwork
from T1T2TranslationLib.translation import UNIT
from T1T2TranslationLib.volume import Volume

CPU = torch.device("cpu")
# An accelerator that accepts everything and cannot give a result back: torch's own device without memory.
NO_MEMORY = torch.device("meta")


@pytest.fixture
def expected(a_head, the_model, in_float32):
    """The undisturbed result."""
    return translate(a_head, the_model, device="cpu").synthetic.array


def test_the_result_is_int16_on_the_grid_of_the_input_and_says_so(an_oblique_head, the_model):
    result = translate(an_oblique_head, the_model, device="cpu")
    for image in (result.synthetic, result.predicted_error):
        assert image.array.dtype == np.int16
        assert image.shape == an_oblique_head.shape
        assert image.affine.tobytes() == an_oblique_head.affine.tobytes()
        assert image.array.min() >= 0
        assert image.array.std() > 0
    assert result.synthetic.name == "a T1 head SYNTHETIC T2"
    assert result.predicted_error.name == "a T1 head SYNTHETIC T2 predicted error"
    assert result.warnings == ()
    assert result.comparison is None


def test_the_provenance_is_plain_json_and_names_model_hash_device_and_precision(a_head, the_model):
    provenance = json.loads(json.dumps(dict(translate(a_head, the_model, device="cpu").provenance)))
    assert provenance["model"] == "t1_to_t2"
    assert provenance["weights_sha256"] == the_model.card.sha256
    assert provenance["error_factor"] == the_model.error_factor
    assert provenance["device"] == "cpu"
    assert provenance["precision"] in ("float32", "bfloat16")
    assert provenance["mark"] == "SYNTHETIC"
    assert str(UNIT) in provenance["unit"]
    assert provenance["seconds"] > 0
    assert provenance["mask_given"] is False


def test_a_name_and_a_loaded_model_give_the_same(a_head, expected):
    assert np.array_equal(translate(a_head, "t1_to_t2", device="cpu").synthetic.array, expected)


def test_the_unit_is_a_thousand_times_the_networks_value(a_head, an_identity_model, in_float32):
    result = translate(a_head, an_identity_model, device="cpu")
    level = find_head(a_head).level
    np.testing.assert_array_equal(result.synthetic.array, np.rint(a_head.array * np.float32(1000 / level)).astype(np.int16))
    assert set(np.unique(result.predicted_error.array)) <= {0, 1000}


def test_the_predicted_error_follows_the_error_factor(a_head, an_identity_model, in_float32):
    model = dataclasses.replace(an_identity_model, error_factor=0.25)
    assert translate(a_head, model, device="cpu").predicted_error.array.max() == 250


def test_the_result_is_zero_in_the_air_around_the_head(the_model):
    volume = a_head_volume((85, 93, 83))
    index = np.stack(np.meshgrid(*(np.arange(size) for size in volume.shape), indexing="ij"), axis=-1)
    radius = np.linalg.norm((index - (np.array(volume.shape) - 1) / 2) / (SEMIAXES_MM + 6), axis=-1)  # 1 mm voxels
    result = translate(volume, the_model, device="cpu")
    for image in (result.synthetic, result.predicted_error):
        assert not image.array[radius > 1].any()
        assert image.array[radius < 0.5].any()


def test_a_mask_restricts_the_result_on_any_grid(a_head, the_model):
    array = np.zeros((23, 27, 22), np.uint8)
    array[5:17, 6:20, 5:16] = 3
    mask = Volume(array, a_head.affine @ np.diag([2.0, 2, 2, 1]), "brain")
    result = translate(a_head, the_model, mask=mask, device="cpu")
    place = np.zeros(a_head.shape, bool)
    place[9:34, 11:40, 9:32] = True  # half a coarse voxel around the mask
    assert result.synthetic.array[12:30, 14:36, 12:28].any()
    assert not result.synthetic.array[~place].any()
    assert not result.predicted_error.array[~place].any()
    assert result.provenance["mask_given"] is True


@pytest.mark.parametrize("factor", [0.1, 7.3, 1000.0])
def test_the_scale_of_the_intensities_changes_nothing(a_head, the_model, expected, factor):
    scaled = a_head.with_array(a_head.array * factor)
    difference = translate(scaled, the_model, device="cpu").synthetic.array.astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_a_mirrored_head_gives_nearly_the_mirrored_result(a_head, the_model, expected):
    mirrored = a_head.with_array(a_head.array[::-1])
    difference = translate(mirrored, the_model, device="cpu").synthetic.array[::-1].astype(int) - expected
    assert np.abs(difference)[a_head.array > 0].mean() < 0.15 * UNIT  # of a head that no patient has; of a real one 0.02


@pytest.mark.parametrize(("width", "mean_difference"), [(16, 0), (7, 0.1 * UNIT)])
def test_air_around_the_head_changes_little_inside(the_model, in_float32, width, mean_difference):
    volume = a_head_volume((61, 69, 57))  # air enough that its own faces do not cut the box
    affine = volume.affine.copy()
    affine[:3, 3] -= width
    padded = Volume(np.pad(volume.array, width), affine)
    inside = (slice(width, -width),) * 3
    difference = translate(padded, the_model, device="cpu").synthetic.array[inside].astype(int)
    difference -= translate(volume, the_model, device="cpu").synthetic.array
    assert np.abs(difference)[volume.array > 0].mean() <= mean_difference


def test_half_precision_differs_by_less_than_two_hundredths_of_the_unit(a_head, the_model, expected, monkeypatch):
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU has no bf16")
    on(monkeypatch, Device(CPU, torch.bfloat16, 8))
    difference = np.abs(translate(a_head, the_model).synthetic.array.astype(int) - expected)
    assert 0 < difference.mean() < 0.02 * UNIT


# ---- devices that fail


class Unreliable(TranslationNetwork):
    """The real network, but its n-th call fails as `failures` says; on a device without memory it returns zeros."""

    calls: ClassVar[int] = 0
    failures: ClassVar[dict[int, Exception]] = {}
    largest_batch: ClassVar[int] = 1000
    is_not_a_number_in: ClassVar[tuple[torch.dtype, ...]] = ()

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        Unreliable.calls += 1
        if Unreliable.calls in Unreliable.failures:
            raise Unreliable.failures[Unreliable.calls]
        if len(planes) > Unreliable.largest_batch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has less.")
        if planes.device == NO_MEMORY:
            return torch.zeros(len(planes), 2, *planes.shape[2:])
        output = super().forward(planes)
        return output * float("nan") if planes.dtype in Unreliable.is_not_a_number_in else output


@pytest.fixture
def an_unreliable_model(the_model, monkeypatch):
    for name, value in (("calls", 0), ("failures", {}), ("largest_batch", 1000), ("is_not_a_number_in", ())):
        monkeypatch.setattr(Unreliable, name, value)
    network = Unreliable(**the_model.network.config.as_arguments())
    network.load_state_dict(the_model.network.state_dict())
    return dataclasses.replace(the_model, network=network)


def on(monkeypatch, device: Device) -> None:
    monkeypatch.setattr(inference, "_chosen_device", lambda wish, model: device)


def test_where_memory_is_short_the_batch_is_halved_and_the_result_is_the_same(a_head, an_unreliable_model, expected, monkeypatch):
    on(monkeypatch, Device(CPU, torch.float32, 8))
    Unreliable.largest_batch = 3
    result = translate(a_head, an_unreliable_model)
    assert np.abs(result.synthetic.array.astype(int) - expected).max() <= 1  # other batches, other rounding
    assert len(result.warnings) == 2
    assert result.warnings[-1] == "The memory of cpu was full; went on with 2 planes at a time on cpu in float32."


def test_where_one_plane_is_too_much_for_the_card_the_cpu_goes_on(a_head, an_unreliable_model, expected, monkeypatch):
    on(monkeypatch, Device(NO_MEMORY, torch.float32, 2))
    Unreliable.failures = {1: torch.OutOfMemoryError("CUDA out of memory."), 2: RuntimeError("MPS backend out of memory")}
    result = translate(a_head, an_unreliable_model)
    assert np.array_equal(result.synthetic.array, expected)
    assert result.warnings[-1] == "The memory of meta was full; went on with 8 planes at a time on cpu in float32."
    assert result.provenance["device"] == "cpu"


def test_where_one_plane_is_too_much_for_the_cpu_the_run_ends_with_a_sentence(a_head, an_unreliable_model, monkeypatch):
    on(monkeypatch, Device(CPU, torch.float32, 8))
    Unreliable.largest_batch = 0
    with pytest.raises(DeviceFailure, match="more memory than there is"):
        translate(a_head, an_unreliable_model)


@pytest.mark.parametrize("call", [1, 2])
def test_a_card_that_fails_half_way_leaves_no_trace_in_the_result(a_head, an_unreliable_model, expected, monkeypatch, call):
    on(monkeypatch, Device(NO_MEMORY, torch.float32, 16))
    Unreliable.failures = {call: RuntimeError("CUDA error: an illegal memory access was encountered\nDetails follow")}
    result = translate(a_head, an_unreliable_model)
    assert np.array_equal(result.synthetic.array, expected)
    (warning,) = result.warnings
    assert warning == (
        "The graphics card failed (CUDA error: an illegal memory access was encountered); "
        "went on with 8 planes at a time on cpu in float32."
    )


def test_a_device_that_takes_the_planes_and_gives_nothing_back_is_left(a_head, the_model, expected, monkeypatch):
    on(monkeypatch, Device(NO_MEMORY, torch.float32, 16))  # torch itself raises: no data in a tensor without memory
    result = translate(a_head, the_model)
    assert np.array_equal(result.synthetic.array, expected)
    assert "Cannot copy out of meta tensor" in result.warnings[0]


def test_a_cpu_that_fails_ends_the_run_with_a_sentence(a_head, an_unreliable_model, monkeypatch):
    on(monkeypatch, Device(CPU, torch.float32, 8))
    Unreliable.failures = {2: RuntimeError("could not create a primitive")}
    with pytest.raises(DeviceFailure, match=r"failed on the CPU \(could not create a primitive\)"):
        translate(a_head, an_unreliable_model)


def test_values_that_are_no_numbers_in_half_precision_are_computed_again(a_head, an_unreliable_model, expected, monkeypatch):
    on(monkeypatch, Device(CPU, torch.bfloat16, 8))
    Unreliable.is_not_a_number_in = (torch.bfloat16,)
    result = translate(a_head, an_unreliable_model)
    assert np.array_equal(result.synthetic.array, expected)
    assert "not finite in half precision" in result.warnings[0]
    assert result.provenance["precision"] == "float32"


def test_a_network_that_gives_no_numbers_at_all_is_a_failure_not_a_result(a_head, an_unreliable_model, monkeypatch):
    on(monkeypatch, Device(CPU, torch.float32, 8))
    Unreliable.is_not_a_number_in = (torch.float32,)
    with pytest.raises(DeviceFailure, match="not finite"):
        translate(a_head, an_unreliable_model)


def test_the_reason_for_not_using_the_card_is_among_the_warnings(a_head, the_model, monkeypatch):
    on(monkeypatch, Device(CPU, torch.float32, 8, reason="'cuda' does not work (driver too old)."))
    assert translate(a_head, the_model).warnings == ("'cuda' does not work (driver too old).",)


def test_a_disturbed_run_leaves_the_model_fit_for_the_next(a_head, an_unreliable_model, expected, monkeypatch):
    on(monkeypatch, Device(CPU, torch.float32, 8))
    Unreliable.failures = {1: RuntimeError("once")}
    with pytest.raises(DeviceFailure):
        translate(a_head, an_unreliable_model)
    assert np.array_equal(translate(a_head, an_unreliable_model).synthetic.array, expected)


# ---- progress


def test_progress_rises_to_one_and_is_told_after_every_batch(a_head, the_model):
    told = []
    translate(a_head, the_model, device="cpu", progress=lambda fraction, message: told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert told[-1] == (1.0, "Done")
    assert sum("s left" in message for _, message in told) >= 43 / 8


@pytest.mark.parametrize("stop_at", [0.0, 0.01, 0.3, 0.95, 1.0])
def test_cancelling_from_progress_stops_at_once(a_head, the_model, stop_at):
    told = []

    def cancel(fraction, message):
        told.append(fraction)
        if fraction >= stop_at:
            raise Cancelled

    with pytest.raises(Cancelled):
        translate(a_head, the_model, device="cpu", progress=cancel)
    assert sum(fraction >= stop_at for fraction in told) == 1


def test_prediction_of_all_planes_equals_that_of_each_plane_alone(an_oblique_head, the_model, in_float32):
    planes = the_model.preprocessing.prepare(an_oblique_head)
    prediction = predict(the_model, planes, "cpu")
    with torch.inference_mode():
        alone = the_model.network(planes.context(4, 5))[0].numpy()
    np.testing.assert_allclose(prediction.value[4], alone[0], atol=1e-4)
    np.testing.assert_allclose(prediction.scale[4], np.exp(alone[1]) * the_model.error_factor, atol=1e-4)
