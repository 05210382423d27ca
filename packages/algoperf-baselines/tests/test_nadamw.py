"""NAdamW beyond the published trajectory: rules of that name, PyTorch's optimizer protocol."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from algoperf_baselines.nadamw.submission_jax import nadamw, scale_by_nadamw
from algoperf_baselines.nadamw.submission_pytorch import NAdamW


def parameter(*values: float, gradient: tuple[float, ...] | None = None) -> torch.nn.Parameter:
    made = torch.nn.Parameter(torch.tensor(values))
    made.grad = None if gradient is None else torch.tensor(gradient)
    return made


def test_is_another_rule_than_optax_nadamw(goldens):
    trajectory = goldens("optimizers")
    gaps = []
    for optimizer in (nadamw(0.01, 0.9, 0.999), optax.nadamw(0.01, weight_decay=0.0)):
        params = jnp.array(trajectory["init/matrix"])
        state = optimizer.init(params)
        for gradient in trajectory["grads/matrix"]:
            updates, state = optimizer.update(jnp.array(gradient), state, params)
            params = optax.apply_updates(params, updates)
        gaps.append(params)
    assert float(jnp.abs(gaps[0] - gaps[1]).max()) > 1e-3


def test_decay_alone_shrinks_parameters_by_the_learning_rate():
    pytorch = parameter(2.0, gradient=(0.0,))
    NAdamW([pytorch], lr=0.1, betas=(0.9, 0.999), weight_decay=0.5).step()
    optimizer, params = nadamw(0.1, 0.9, 0.999, weight_decay=0.5), jnp.array([2.0])
    updates, _ = optimizer.update(jnp.array([0.0]), optimizer.init(params), params)
    np.testing.assert_allclose(pytorch.detach(), [1.9], rtol=1e-6)
    np.testing.assert_allclose(params + updates, [1.9], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_state_keeps_the_dtype_of_the_parameters(dtype):
    rule, params = scale_by_nadamw(0.9, 0.999), {"a": jnp.ones(3, dtype)}
    _, state = rule.update(params, rule.init(params))
    assert {leaf.dtype for leaf in jax.tree.leaves((state.mu, state.nu))} == {jnp.dtype(dtype)}


def test_empty_tree_has_an_empty_update():
    rule = scale_by_nadamw(0.9, 0.999)
    assert rule.update({}, rule.init({}))[0] == {}


def test_parameters_without_gradient_are_left_alone():
    frozen, used = parameter(1.0), parameter(1.0, gradient=(1.0,))
    optimizer = NAdamW([frozen, used], lr=0.1, betas=(0.9, 0.999), weight_decay=0.1)
    optimizer.step()
    assert frozen.item() == 1.0
    assert frozen not in optimizer.state
    assert used.item() != 1.0


def test_step_without_any_gradient_does_nothing():
    frozen = parameter(1.0)
    assert NAdamW([frozen], lr=0.1, betas=(0.9, 0.999)).step() is None
    assert frozen.item() == 1.0


def test_bias_correction_counts_each_parameters_own_updates():
    late, early = parameter(0.0), parameter(0.0, gradient=(1.0,))
    optimizer = NAdamW([late, early], lr=0.1, betas=(0.9, 0.999))
    optimizer.step()
    late.grad = torch.tensor([1.0])
    optimizer.step()
    np.testing.assert_allclose(late.item(), -0.19, rtol=1e-5)


def test_groups_have_options_of_their_own():
    slow, fast = parameter(0.0, gradient=(1.0,)), parameter(0.0, gradient=(1.0,))
    groups = [{"params": [slow], "lr": 0.01}, {"params": [fast]}]
    NAdamW(groups, lr=0.1, betas=(0.9, 0.999)).step()
    np.testing.assert_allclose([slow.item(), fast.item()], [-0.019, -0.19], rtol=1e-5)


def test_closure_computes_loss_and_gradient():
    used = parameter(3.0)

    def closure():
        loss = (used**2).sum()
        loss.backward()
        return loss

    assert NAdamW([used], lr=0.1, betas=(0.9, 0.999)).step(closure).item() == 9.0
    assert used.item() < 3.0
