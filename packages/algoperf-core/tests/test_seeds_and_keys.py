"""Seeds by name, and the published key arithmetic."""

import numpy as np
import pytest

from algoperf_core import numpy_keys
from algoperf_core.backends import load_backend
from algoperf_core.seeds import derive_seed

# Published derivation from seed 20261122 (Dahl et al. 2023's code, both frameworks).
NUMPY_LOOP_KEY = [1907474140, 1391411885]
NUMPY_STEP_KEYS = [
    [668142902, 493060803],
    [598099869, 25322107],
    [1292318130, 2020361757],
    [190727619, 1546355613],
]
JAX_LOOP_KEY = [2503607768, 1018971878]
JAX_STEP_KEYS = [
    [145150935, 3544051543],
    [3819829271, 1253021969],
    [3456546197, 3854797381],
    [315411272, 2980926426],
]


def test_seed_depends_on_every_name_of_the_path():
    seeds = {
        derive_seed(0, "b", "s", "w", "study_0", "trial_1"),
        derive_seed(1, "b", "s", "w", "study_0", "trial_1"),
        derive_seed(0, "b", "s", "w", "study_0", "trial_2"),
        derive_seed(0, "b", "s", "w", "study_1", "trial_1"),
        derive_seed(0, "bs", "", "w", "study_0", "trial_1"),
    }
    assert len(seeds) == 5


def test_seed_of_a_path_never_changes():
    assert derive_seed(0, "algoperf-digits", "adamw") == 1742293412


def test_seeds_fit_both_frameworks():
    assert all(0 <= derive_seed(root, "x") < 2**31 for root in range(-5, 200))


def test_numpy_keys_are_the_published_ones():
    root = numpy_keys.key(20261122)
    assert root.tolist() == [749285051, 872612515]
    rest = numpy_keys.split(root, 2)[0]
    assert rest.tolist() == [1577630100, 1330230938]
    assert numpy_keys.split(rest, 4).tolist() == [
        [1331396922, 96535399],
        [1904526368, 1469754210],
        [1969982838, 1251791691],
        NUMPY_LOOP_KEY,
    ]
    assert numpy_keys.fold_in(NUMPY_LOOP_KEY, 0).tolist() == [1597328938, 0]


def test_numpy_keys_are_int32_pairs():
    key = numpy_keys.key(5)
    assert key.dtype == np.int32
    assert key.shape == (2,)


def test_negative_seeds_are_legal():
    assert numpy_keys.key(-3).shape == (2,)


def test_pytorch_step_keys_are_the_published_ones():
    pytest.importorskip("torch")
    keys = load_backend("pytorch").step_keys(NUMPY_LOOP_KEY, 0)
    assert [key.tolist() for key in keys] == NUMPY_STEP_KEYS


def test_jax_keys_are_typed_and_the_published_ones():
    jax = pytest.importorskip("jax")
    backend = load_backend("jax")
    rest = jax.random.split(backend.key(20261122), 2)[0]
    loop = jax.random.split(rest, 4)[3]
    assert jax.dtypes.issubdtype(loop.dtype, jax.dtypes.prng_key)
    assert jax.random.key_data(loop).tolist() == JAX_LOOP_KEY
    keys = backend.step_keys(loop, 0)
    assert [jax.random.key_data(key).tolist() for key in keys] == JAX_STEP_KEYS
