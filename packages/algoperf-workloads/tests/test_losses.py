"""Losses: the published dicts, the same in both frameworks."""

from pathlib import Path

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


GOLDENS = np.load(Path(__file__).parent / "goldens" / "losses.npz")
MODULES = {
    "jax": (jax_losses, jnp.asarray),
    "pytorch": (torch_losses, lambda array: torch.from_numpy(np.array(array))),
}
LOSSES = ("summed", "n_valid_examples", "per_example")


def golden_loss(framework, name, labels, logits, mask=None, smoothing=0.0):
    module, tensor = MODULES[framework]

    def convert(value):
        return tuple(map(tensor, value)) if isinstance(value, tuple) else tensor(value)

    mask = None if mask is None else tensor(mask)
    return getattr(module, name)(convert(labels), convert(logits), mask, smoothing)


def assert_golden(found, prefix):
    for key in LOSSES:
        if f"{prefix}{key}" in GOLDENS:
            np.testing.assert_allclose(
                np.asarray(found[key]), GOLDENS[f"{prefix}{key}"], rtol=1e-5, atol=1e-5
            )


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("weights", ["w", "now"])
def test_losses_of_tokens_are_the_published(framework, smoothing, weights):
    mask = GOLDENS["tokens_weights"] if weights == "w" else None
    found = golden_loss(
        framework,
        "softmax_cross_entropy",
        GOLDENS["tokens_targets"],
        GOLDENS["tokens_logits"],
        mask,
        smoothing,
    )
    assert_golden(found, f"tokens_ls{smoothing}_{weights}_")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("smoothing", "prefix"), [(0.0, "loss_"), (0.1, "loss_ls01_")])
def test_losses_of_molecules_are_the_published(framework, smoothing, prefix):
    found = golden_loss(
        framework,
        "masked_sigmoid_cross_entropy",
        GOLDENS["molecules_targets"],
        GOLDENS["molecules_train_logits"],
        GOLDENS["molecules_weights"],
        smoothing,
    )
    assert_golden(found, f"molecules_{prefix}")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("mask", "prefix"), [("clicks_weights", "loss_"), (None, "loss_nomask_")])
def test_losses_of_clicks_are_the_published(framework, mask, prefix):
    found = golden_loss(
        framework,
        "sigmoid_cross_entropy",
        GOLDENS["clicks_targets"],
        GOLDENS["clicks_train_logits"],
        None if mask is None else GOLDENS[mask],
    )
    assert_golden(found, f"clicks_{prefix}")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_losses_of_alignments_are_the_published(framework):
    labels = (GOLDENS["ctc_labels"], GOLDENS["ctc_label_paddings"])
    logits = (GOLDENS["ctc_logits"], GOLDENS["ctc_logit_paddings"])
    found = golden_loss(framework, "ctc_loss", labels, logits)
    assert_golden(found, "ctc_")
    assert float(found["per_example"][5]) == 0


def test_gradients_of_alignments_are_the_published_in_jax():
    import jax

    labels = (GOLDENS["ctc_labels"], GOLDENS["ctc_label_paddings"])

    def mean(logits):
        found = jax_losses.ctc_loss(labels, (logits, GOLDENS["ctc_logit_paddings"]))
        return found["summed"] / found["n_valid_examples"]

    gradient = jax.jit(jax.grad(mean))(GOLDENS["ctc_logits"])
    np.testing.assert_allclose(gradient, GOLDENS["ctc_grad_logits"], atol=2e-6)


def test_gradients_of_alignments_are_the_published_in_pytorch():
    labels = tuple(torch.from_numpy(GOLDENS[f"ctc_{key}"]) for key in ("labels", "label_paddings"))
    logits = torch.from_numpy(GOLDENS["ctc_logits"]).requires_grad_()
    found = torch_losses.ctc_loss(labels, (logits, torch.from_numpy(GOLDENS["ctc_logit_paddings"])))
    (found["summed"] / found["n_valid_examples"]).backward()
    np.testing.assert_allclose(logits.grad, GOLDENS["ctc_grad_logits"], atol=2e-6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_labels_that_fit_in_no_frames_cost_without_measure(framework):
    labels, logits = GOLDENS["ctc_infeasible_labels"], GOLDENS["ctc_infeasible_logits"]
    paddings = np.zeros(labels.shape, np.float32), np.zeros(logits.shape[:2], np.float32)
    found = golden_loss(framework, "ctc_loss", (labels, paddings[0]), (logits, paddings[1]))
    assert float(found["summed"]) > 1e4


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_masked_alignments_count_neither_loss_nor_labels(framework):
    labels = (GOLDENS["ctc_labels"], GOLDENS["ctc_label_paddings"])
    logits = (GOLDENS["ctc_logits"], GOLDENS["ctc_logit_paddings"])
    mask = np.array([1, 0, 1, 1, 0, 1], np.float32)
    found = golden_loss(framework, "ctc_loss", labels, logits, mask)
    np.testing.assert_allclose(
        np.asarray(found["per_example"]), GOLDENS["ctc_per_example"] * mask, rtol=1e-5
    )
    tokens = ((1 - GOLDENS["ctc_label_paddings"]) * mask[:, None]).sum()
    assert float(found["n_valid_examples"]) == tokens


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_absolute_error_is_the_mean_over_each_example(framework):
    rng = np.random.default_rng(3)
    targets, outputs = rng.normal(size=(2, 4, 5, 6)).astype(np.float32)
    mask = np.array([1, 0, 1, 1], np.float32)
    found = golden_loss(framework, "mean_absolute_error", targets, outputs, mask, 0.3)
    expected = np.abs(outputs - targets).mean((1, 2)) * mask
    np.testing.assert_allclose(np.asarray(found["per_example"]), expected, rtol=1e-5)
    assert float(found["summed"]) == pytest.approx(expected.sum(), rel=1e-5)
    assert float(found["n_valid_examples"]) == 3


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    "name", ["softmax_cross_entropy", "sigmoid_cross_entropy", "mean_absolute_error"]
)
def test_what_is_not_finite_under_a_mask_does_not_matter(framework, name):
    logits = np.array([[0.5], [np.nan]], np.float32)
    labels = np.zeros((2, 1), np.float32)
    found = golden_loss(framework, name, labels, logits, np.array([1, 0], np.float32))
    assert np.isfinite(float(found["summed"]))


def test_missing_labels_send_no_nan_into_gradients():
    import jax

    labels, mask = np.array([[1, np.nan]], np.float32), np.array([[1, 0]], np.float32)
    gradient = jax.grad(
        lambda logits: jax_losses.masked_sigmoid_cross_entropy(labels, logits, mask)["summed"]
    )(jnp.array([[0.0, 2.0]]))
    np.testing.assert_allclose(gradient, [[-0.5, 0.0]])
    logits = torch.tensor([[0.0, 2.0]], requires_grad=True)
    torch_losses.masked_sigmoid_cross_entropy(
        torch.from_numpy(labels), logits, torch.from_numpy(mask)
    )["summed"].backward()
    np.testing.assert_allclose(logits.grad, [[-0.5, 0.0]])
