"""The network accepts any in-plane size, sees what it should and refuses what is no network."""

from __future__ import annotations

import json

import pytest
import torch
from T1T2TranslationLib.network import NetworkConfig, TranslationNetwork

PRESETS = {"unet": (8, 8, 8, 8), "fcn8s": (8, 8, 8, 8, 8)}


@pytest.fixture(params=PRESETS)
def a_network(request):
    torch.manual_seed(1)
    return TranslationNetwork(request.param, widths=PRESETS[request.param]).eval()


@pytest.mark.parametrize(("height", "width"), [(17, 19), (1, 1), (32, 16), (33, 95)])
def test_any_in_plane_size_gives_value_and_log_scale_of_that_size(a_network, height, width):
    output = a_network(torch.rand(2, 5, height, width))
    assert output.shape == (2, 2, height, width)
    assert torch.isfinite(output).all()


def test_planes_do_not_see_each_other_across_the_batch(a_network):
    planes = torch.rand(3, 5, 32, 32)
    torch.testing.assert_close(a_network(planes)[1:2], a_network(planes[1:2]))


def test_a_shift_by_the_stride_shifts_the_result(a_network):
    planes = torch.zeros(1, 5, 320, 320)
    planes[..., 128:160, 128:160] = torch.rand(1, 5, 32, 32)
    shifted = a_network(planes.roll((32, 32), (2, 3)))
    middle = (..., slice(140, 180), slice(140, 180))  # out of reach of the border
    torch.testing.assert_close(a_network(planes).roll((32, 32), (2, 3))[middle], shifted[middle])


def test_every_context_plane_and_every_weight_counts(a_network):
    torch.manual_seed(2)
    for weights in a_network.parameters():  # the second convolutions start at zero
        torch.nn.init.normal_(weights, std=0.1)
    planes = torch.rand(1, 5, 64, 64, requires_grad=True)
    a_network(planes).square().sum().backward()
    assert (planes.grad.abs().amax(dim=(0, 2, 3)) > 0).all()
    assert all(weights.grad is not None and weights.grad.abs().max() > 0 for weights in a_network.parameters())


def test_the_log_scale_stays_where_its_exponent_is_harmless(a_network):
    with torch.no_grad():
        for weights in a_network.parameters():
            weights.mul_(1e3)
    log_scale = a_network(torch.rand(1, 5, 32, 32))[:, 1]
    assert log_scale.min() >= -7
    assert log_scale.max() <= 1


def test_the_result_of_half_precision_is_float32(a_network):
    output = a_network.to(torch.bfloat16)(torch.rand(1, 5, 17, 19, dtype=torch.bfloat16))
    assert output.dtype == torch.float32


def test_a_deep_stack_starts_as_the_identity():
    network = TranslationNetwork()
    x = torch.randn(1, 32, 8, 8)
    block = network.body.encoders[0]
    torch.testing.assert_close(block(x), x + block.second.bias[:, None, None])


def test_a_network_is_rebuilt_from_its_json():
    network = TranslationNetwork("fcn8s", 1, (8, 8, 16, 16, 32))
    again = TranslationNetwork(**json.loads(json.dumps(network.config.as_arguments())))
    assert again.config == network.config
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"preset": "resnet"}, "one of unet, fcn8s"),
        ({"context_planes": 4}, "an odd number"),
        ({"context_planes": 0}, "an odd number"),
        ({"widths": (32, 64, 128)}, "4 numbers"),
        ({"preset": "fcn8s"}, "5 numbers"),
        ({"widths": (32, 64, 128, 0)}, "from 1 to 1024"),
        ({"widths": (32, 64, 128, 10**9)}, "from 1 to 1024"),
    ],
)
def test_a_combination_that_is_no_network_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        NetworkConfig(**arguments)
    with pytest.raises(ValueError, match=said):
        TranslationNetwork(**arguments)


def test_the_recommended_network_is_small_enough_to_ship():
    count = sum(weights.numel() for weights in TranslationNetwork().parameters())
    assert 2 * count < 4e6  # bytes in half precision
