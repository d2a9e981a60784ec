"""The device is chosen by a trial, and a wish that cannot be met is said."""

from __future__ import annotations

import pytest
import torch
from T1T2TranslationLib import device as device_room
from T1T2TranslationLib.device import Device, choose_device
from T1T2TranslationLib.errors import DeviceFailure
from T1T2TranslationLib.network import TranslationNetwork


@pytest.fixture(scope="module")
def a_network():
    return TranslationNetwork(widths=(4, 4, 4, 4)).eval()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a graphics card")
@pytest.mark.parametrize("wish", ["cuda", "cuda:3"])
def test_a_graphics_card_that_is_not_there_is_refused_by_name(a_network, wish):
    with pytest.raises(DeviceFailure, match=rf"'{wish}' does not work \(.+\)\.") as failure:
        choose_device(wish, a_network)
    assert failure.value.remedy == "Choose 'auto' or 'cpu'."
    assert "\n" not in failure.value.message


@pytest.mark.parametrize("wish", ["gpu", "", "meta", "cpu:banana", "CUDA", "cuda:x"])
def test_a_word_that_is_no_device_is_refused(a_network, wish):
    with pytest.raises(DeviceFailure, match="does not work"):
        choose_device(wish, a_network)


def test_auto_takes_the_cpu_and_says_why_where_the_graphics_card_does_not_work(a_network, monkeypatch):
    monkeypatch.setattr(device_room, "_accelerators", lambda: ["cuda:99"])
    chosen = choose_device("auto", a_network)
    assert chosen.torch_device.type == "cpu"
    assert chosen.reason.startswith("'cuda:99' does not work (")


def test_auto_without_any_graphics_card_has_nothing_to_explain(a_network, monkeypatch):
    monkeypatch.setattr(device_room, "_accelerators", list)
    assert choose_device("auto", a_network).reason == ""


@pytest.mark.parametrize(("gain", "precision"), [(float("inf"), "float32"), (0.0, "bfloat16")])
def test_half_precision_on_the_cpu_must_win_a_timed_batch(a_network, monkeypatch, gain, precision):
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU has no bf16")
    monkeypatch.setattr(device_room, "_CPU_BF16_GAIN", gain)
    assert choose_device("cpu", a_network).precision == precision


def test_a_cpu_whose_torch_has_no_mkldnn_computes_in_float32(a_network, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert choose_device("cpu", a_network).precision == "float32"


def test_a_device_that_computes_nonsense_is_not_taken(a_network, monkeypatch):
    monkeypatch.setattr(device_room, "_accelerators", lambda: ["cuda"])
    monkeypatch.setattr(device_room.torch.cuda, "get_device_capability", lambda _: (8, 0))
    monkeypatch.setattr(device_room._Trial, "__init__", lambda self, network, device: None)
    monkeypatch.setattr(device_room._Trial, "run", lambda self: torch.tensor([float("nan")]))
    with pytest.raises(DeviceFailure, match="not finite"):
        choose_device("cuda", a_network)


def test_choosing_leaves_the_network_as_it_was(a_network):
    before = {name: value.clone() for name, value in a_network.state_dict().items()}
    choose_device("cpu", a_network)
    for name, value in a_network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])


def test_a_device_is_named_for_people():
    device = Device(torch.device("cpu"), torch.bfloat16, 8)
    assert (device.label, device.precision) == ("cpu", "bfloat16")
