"""Layers compute the same in both frameworks, over many steps."""

import math

import flax.linen as nn
import jax
import numpy as np
import pytest
import torch

from algoperf_workloads import jax_layers, torch_layers
from algoperf_workloads.jax_layers import Dropout
from algoperf_workloads.torch_layers import (
    BatchNorm,
    LayerNorm,
    MultiHeadAttention,
    SameConv2d,
    broadcast_dropout,
    dropout,
    lecun_normal_,
    linear,
    same_padding,
    set_batch_norm_updates,
)

RANDOM = np.random.RandomState(5)


def channels_last(array):
    return np.moveaxis(array, 1, -1)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 5, 2)])
def test_batch_norm_follows_flax_over_steps(shape):
    flax_layer = nn.BatchNorm(momentum=0.9, epsilon=1e-5)
    variables = flax_layer.init(
        jax.random.key(0), channels_last(np.zeros(shape, np.float32)), use_running_average=True
    )
    layer = BatchNorm(3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
    params = {"scale": np.array([0.5, 1.0, 2.0], np.float32), "bias": np.zeros(3, np.float32)}
    statistics = variables["batch_stats"]
    for step in range(5):
        values = (RANDOM.randn(*shape) * (step + 1) + step).astype(np.float32)
        expected, updated = flax_layer.apply(
            {"params": params, "batch_stats": statistics},
            channels_last(values),
            use_running_average=False,
            mutable=["batch_stats"],
        )
        statistics = updated["batch_stats"]
        found = layer(torch.from_numpy(values)).detach().numpy()
        np.testing.assert_allclose(channels_last(found), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer.running_mean, statistics["mean"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer.running_var, statistics["var"], rtol=1e-5)
    layer.eval()
    values = RANDOM.randn(*shape).astype(np.float32)
    expected = flax_layer.apply(
        {"params": params, "batch_stats": statistics},
        channels_last(values),
        use_running_average=True,
    )
    found = layer(torch.from_numpy(values)).detach().numpy()
    np.testing.assert_allclose(channels_last(found), expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_averages_the_biased_variance():
    layer = BatchNorm(1, momentum=1.0)
    layer(torch.tensor([[1.0], [3.0]]))
    assert layer.running_mean.item() == 2.0
    assert layer.running_var.item() == pytest.approx(1.0)


def test_batch_norm_differentiates_as_pytorchs_own():
    own, reference = BatchNorm(3), torch.nn.BatchNorm2d(3)
    values = [torch.from_numpy(RANDOM.randn(4, 3, 2, 2)).float() for _ in range(2)]
    values[1].copy_(values[0])
    for layer, value in zip((own, reference), values, strict=True):
        value.requires_grad_()
        (layer(value) ** 3).sum().backward()
    torch.testing.assert_close(values[0].grad, values[1].grad)
    torch.testing.assert_close(own.weight.grad, reference.weight.grad)
    torch.testing.assert_close(own.running_mean, reference.running_mean)


def test_batch_norm_can_normalise_by_the_batch_without_remembering_it():
    layer = BatchNorm(3)
    values = torch.from_numpy(RANDOM.randn(5, 3)).float()
    remembered = layer(values)
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    set_batch_norm_updates(torch.nn.Sequential(layer), enabled=False)
    torch.testing.assert_close(layer(values), remembered)
    assert all(torch.equal(buffers[name], buffer) for name, buffer in layer.named_buffers())
    set_batch_norm_updates(torch.nn.Sequential(layer), enabled=True)
    layer(values)
    assert layer.num_batches_tracked == 2


def test_batch_norm_without_momentum_averages_all_batches_alike():
    layer = BatchNorm(1, momentum=None)
    for mean in (1.0, 2.0, 6.0):
        layer(torch.tensor([[mean - 1], [mean + 1]]))
    assert layer.running_mean.item() == pytest.approx(3.0)
    assert layer.running_var.item() == pytest.approx(1.0)


def test_batch_norm_is_one_for_code_that_looks_for_batch_norms():
    layer = BatchNorm(2)
    assert isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)
    assert layer.state_dict().keys() == torch.nn.BatchNorm1d(2).state_dict().keys()


def test_batch_norm_refuses_inputs_without_channels():
    with pytest.raises(ValueError, match=r"got shape \(3,\)"):
        BatchNorm(3)(torch.zeros(3))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_batch_norm_compiles_into_one_graph():
    layer = BatchNorm(3)
    reference = BatchNorm(3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    values = torch.from_numpy(RANDOM.randn(5, 3, 2)).float()
    for _ in range(2):
        torch.testing.assert_close(compiled(values), reference(values))
    torch.testing.assert_close(layer.running_var, reference.running_var)


def apply_dropout(rate, train=True, seed=0, shape=(200, 100)):
    values = np.ones(shape, np.float32)
    return Dropout().apply({}, values, rate, train, rngs={"dropout": jax.random.key(seed)})


def test_jax_dropout_keeps_the_mean_and_drops_the_asked_share():
    dropped = np.asarray(apply_dropout(0.3))
    assert (dropped == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert dropped.mean() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(dropped[dropped > 0], 1 / 0.7, rtol=1e-6)


def test_jax_dropout_takes_a_traced_rate_without_recompiling():
    compiled = jax.jit(apply_dropout)
    assert (np.asarray(compiled(0.9)) == 0).mean() == pytest.approx(0.9, abs=0.02)
    assert (np.asarray(compiled(0.1)) == 0).mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(compiled(0.0), 1.0)
    assert compiled._cache_size() == 1


@pytest.mark.parametrize(("rate", "train"), [(0.0, True), (0.5, False)])
def test_jax_dropout_needs_no_key_where_it_drops_nothing(rate, train):
    values = np.arange(4.0)
    np.testing.assert_array_equal(Dropout().apply({}, values, rate, train), values)


def test_torch_dropout_is_on_in_training_only():
    values = torch.ones(200, 100)
    assert (dropout(values, 0.3, True) == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert dropout(values, 0.3, False) is values
    torch.testing.assert_close(dropout(values, 0.0, True), values)


@pytest.mark.parametrize("shape", [(64, 32), (32, 16, 3, 3)])
def test_lecun_normal_is_the_distribution_of_flax(shape):
    torch.manual_seed(0)
    weight = lecun_normal_(torch.empty(shape)).numpy()
    fan_in = math.prod(shape[1:])
    order = (2, 3, 1, 0) if len(shape) == 4 else (1, 0)
    flax = jax.nn.initializers.lecun_normal()(jax.random.key(0), [shape[axis] for axis in order])
    assert weight.std() == pytest.approx(fan_in**-0.5, rel=0.05)
    assert weight.std() == pytest.approx(float(flax.std()), rel=0.05)
    assert np.abs(weight).max() == pytest.approx(float(np.abs(flax).max()), rel=0.02)
    assert np.abs(weight).max() <= 2 / 0.87962566103423978 * fan_in**-0.5


def test_lecun_normal_takes_the_inputs_of_a_transposed_convolution():
    torch.manual_seed(0)
    weight = lecun_normal_(torch.empty(64, 16, 2, 2), fan_in=4 * 64)
    assert weight.std().item() == pytest.approx((4 * 64) ** -0.5, rel=0.05)


def test_dropout_along_axes_drops_whole_channels_in_both_frameworks():
    images = np.ones((40, 5, 6, 50), np.float32)
    rngs = {"dropout": jax.random.key(0)}
    ours = Dropout(broadcast_dims=(1, 2)).apply({}, images, 0.3, True, rngs=rngs)
    torch.manual_seed(0)
    theirs = broadcast_dropout(torch.from_numpy(images), 0.3, True, dims=(1, 2))
    for dropped in (np.asarray(ours), theirs.numpy()):
        assert np.all(dropped == dropped[:, :1, :1])
        assert (dropped == 0).mean() == pytest.approx(0.3, abs=0.04)
        np.testing.assert_allclose(dropped[dropped > 0], 1 / 0.7, rtol=1e-6)


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (0.5, False)])
def test_dropout_along_axes_can_leave_all_as_it_is(rate, training):
    images = torch.ones(2, 3, 4, 4)
    assert broadcast_dropout(images, rate, training, dims=(2, 3)) is images


@pytest.mark.parametrize("name", jax_layers.ACTIVATIONS)
def test_activations_of_a_name_agree(name):
    values = np.linspace(-6, 6, 101, dtype=np.float32)
    ours, theirs = jax_layers.ACTIVATIONS[name], torch_layers.ACTIVATIONS[name]
    np.testing.assert_allclose(theirs(torch.from_numpy(values)), ours(values), rtol=1e-5, atol=1e-6)


def test_both_frameworks_have_the_same_activations():
    assert jax_layers.ACTIVATIONS.keys() == torch_layers.ACTIVATIONS.keys()


def test_instance_norm_agrees_and_normalises_every_channel_of_every_image():
    images = (RANDOM.randn(2, 5, 7, 3) * [1, 3, 0.1] + [0, 4, 1]).astype(np.float32)
    images[0, :, :, 2] = 4.0
    ours = np.asarray(jax_layers.instance_norm(images))
    theirs = torch_layers.instance_norm(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(theirs.permute(0, 2, 3, 1), ours, atol=2e-4)
    assert theirs.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(ours.mean((1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(ours[1].std((0, 1)), 1, atol=1e-2)
    np.testing.assert_allclose(ours[0, :, :, 2], 0, atol=1e-4)


def test_layer_norm_has_the_epsilon_of_flax():
    values = (1e-3 * RANDOM.randn(4, 8)).astype(np.float32)
    expected, _ = nn.LayerNorm().init_with_output(jax.random.key(0), values)
    np.testing.assert_allclose(LayerNorm(8)(torch.from_numpy(values)).detach(), expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding"),
    [(8, 3, 1, (1, 1)), (8, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (7, 1, 2, (0, 0)), (1, 3, 2, (1, 1))],
)
def test_same_padding_puts_the_odd_one_after(size, window, stride, padding):
    assert same_padding(size, window, stride) == padding


@pytest.mark.parametrize("shape", [(8, 8), (7, 8), (8, 7), (7, 7), (1, 2)])
@pytest.mark.parametrize(("window", "stride"), [(3, 1), (3, 2), (1, 2), (2, 1), (5, 3)])
def test_convolution_pads_as_flax(shape, window, stride):
    images = RANDOM.randn(2, *shape, 3).astype(np.float32)
    layer = nn.Conv(4, (window, window), strides=stride, use_bias=False)
    kernel = RANDOM.randn(window, window, 3, 4).astype(np.float32)
    expected = layer.apply({"params": {"kernel": kernel}}, images)
    module = SameConv2d(3, 4, window, stride)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1)))
        found = module(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_linear_and_convolution_start_as_in_flax():
    torch.manual_seed(0)
    for layer in (linear(64, 200), SameConv2d(16, 100, 2, bias=True)):
        assert layer.weight.std().item() == pytest.approx(64**-0.5, rel=0.05)
        assert not layer.bias.any()
    other = linear(64, 200, torch.nn.init.ones_, torch.nn.init.ones_)
    assert other.weight.eq(1).all()
    assert other.bias.eq(1).all()


def test_attention_starts_xavier_uniform_without_biases():
    torch.manual_seed(0)
    module = MultiHeadAttention(48, 4)
    for projection in (module.query, module.key, module.value, module.out):
        limit = (6 / (48 + 48)) ** 0.5
        assert 0.99 * limit < projection.weight.abs().max().item() <= limit
        assert not projection.bias.any()
