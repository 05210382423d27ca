"""Softmax cross-entropy: the published dict, the same in both frameworks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

jax_losses = pytest.importorskip("algoperf_workloads.jax_losses")
torch_losses = pytest.importorskip("algoperf_workloads.torch_losses")
jnp, torch = pytest.importorskip("jax.numpy"), pytest.importorskip("torch")

FRAMEWORKS = {
    "jax": (jax_losses.softmax_cross_entropy, jnp.asarray),
    "pytorch": (
        torch_losses.softmax_cross_entropy,
        lambda array: torch.from_numpy(np.asarray(array)),
    ),
}


def loss(framework, labels, logits, mask=None, smoothing=0.0):
    function, tensor = FRAMEWORKS[framework]
    mask = None if mask is None else tensor(np.asarray(mask, np.float32))
    result = function(tensor(labels), tensor(np.asarray(logits, np.float32)), mask, smoothing)
    return {name: np.asarray(value) for name, value in result.items()}


def reference(labels, logits, mask, smoothing):
    """Example by example, in float64."""
    logits = np.asarray(logits, np.float64)
    classes = logits.shape[1]
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    dense = labels if np.ndim(labels) == 2 else np.eye(classes)[labels]
    q = (1 - smoothing) * dense + smoothing / classes
    per_example = -(q * log_p).sum(1) * mask
    return {"summed": per_example.sum(), "n_valid_examples": mask.sum(), "per_example": per_example}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_uniform_logits_cost_the_log_of_the_classes(framework):
    result = loss(framework, np.array([0, 2], np.int32), np.zeros((2, 4)))
    np.testing.assert_allclose(result["per_example"], [np.log(4)] * 2, rtol=1e-6)
    assert result["summed"] == pytest.approx(2 * np.log(4), rel=1e-6)
    assert result["n_valid_examples"] == 2


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_masked_examples_count_for_nothing(framework):
    labels, logits = np.array([0, 1, 2], np.int32), np.random.default_rng(0).normal(size=(3, 4))
    masked = loss(framework, labels, logits, mask=[1, 0, 1])
    kept = loss(framework, labels[[0, 2]], logits[[0, 2]])
    assert masked["summed"] == pytest.approx(kept["summed"], rel=1e-6)
    assert masked["n_valid_examples"] == 2
    assert masked["per_example"][1] == 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_dense_labels_equal_their_classes(framework):
    labels, logits = np.array([3, 1], np.int32), np.random.default_rng(1).normal(size=(2, 4))
    dense = np.eye(4, dtype=np.float32)[labels]
    first, second = loss(framework, labels, logits), loss(framework, dense, logits)
    np.testing.assert_allclose(first["per_example"], second["per_example"], rtol=1e-6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_labels_are_told_apart_by_their_axes_not_their_number(framework):
    """As many examples as classes, the case that the published code mistakes for dense labels."""
    labels, logits = np.arange(4, dtype=np.int32), np.random.default_rng(2).normal(size=(4, 4))
    expected = reference(labels, logits, np.ones(4), 0.0)
    assert loss(framework, labels, logits)["summed"] == pytest.approx(expected["summed"], rel=1e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_huge_logits_do_not_overflow(framework):
    result = loss(framework, np.array([0, 1], np.int32), [[1e4, 0.0], [1e4, 0.0]])
    np.testing.assert_allclose(result["per_example"], [0.0, 1e4], rtol=1e-6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    batch=st.integers(1, 6),
    classes=st.integers(2, 7),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    dense=st.booleans(),
)
def test_loss_equals_the_definition(framework, seed, batch, classes, smoothing, dense):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(batch, classes))
    labels = rng.integers(0, classes, batch).astype(np.int32)
    if dense:
        labels = rng.dirichlet(np.ones(classes), batch).astype(np.float32)
    mask = rng.integers(0, 2, batch).astype(np.float32)
    expected = reference(labels, logits, mask, smoothing)
    found = loss(framework, labels, logits, mask, smoothing)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-5, atol=2e-5)


def test_smoothing_may_be_traced():
    import jax

    labels, logits = jnp.array([1, 0]), jnp.array([[0.5, 1.5], [2.0, -1.0]])
    traced = jax.jit(lambda a: jax_losses.softmax_cross_entropy(labels, logits, None, a)["summed"])
    plain = jax_losses.softmax_cross_entropy(labels, logits, None, 0.2)["summed"]
    assert traced(0.2) == pytest.approx(plain)


def test_number_of_valid_examples_is_a_tensor_that_can_be_reduced_over_devices():
    result = torch_losses.softmax_cross_entropy(torch.tensor([0]), torch.zeros(1, 2))
    assert isinstance(result["n_valid_examples"], torch.Tensor)
