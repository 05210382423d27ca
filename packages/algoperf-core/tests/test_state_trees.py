"""State as data: everything that an optimizer may keep comes back as it was, and nothing is pickled."""

import enum
import functools
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_core.errors import CheckpointError
from algoperf_core.state_trees import (
    Description,
    MadeAnew,
    array_facts,
    describe,
    rebuild,
    unrestorable,
)

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
torch = pytest.importorskip("torch")
jnp = jax.numpy

from algoperf_core.jax_checkpoints import JaxArrays  # noqa: E402
from algoperf_core.torch_checkpoints import TorchArrays  # noqa: E402

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Frozen:
    count: int
    values: tuple[float, ...]


class WithState:
    """What PyTorch calls a stateful object."""

    def __init__(self, count):
        self.count = count

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def through_disk(tree, template, folder, write_with, read_with=None):
    """A tree, described, written, read and rebuilt."""
    described = describe(tree, write_with)
    skeleton = json.loads(json.dumps(described.skeleton))
    fresh = describe(template, write_with)
    assert unrestorable(skeleton, fresh.skeleton) is None
    write_with.write(folder, described.arrays)
    read_with = read_with or write_with
    arrays = read_with.read(folder, array_facts(skeleton)) if described.arrays else {}
    return rebuild(Description(skeleton, arrays, described.numpy), read_with, template)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.text() | st.integers() | st.booleans() | st.tuples(st.integers()), inner
        )
    ),
    max_leaves=12,
)


@given(plain)
def test_plain_values_come_back_equal_and_of_the_same_type(value):
    skeleton = json.loads(json.dumps(describe(value, TorchArrays()).skeleton))
    rebuilt = rebuild(Description(skeleton), TorchArrays())
    assert rebuilt == value
    assert repr(rebuilt) == repr(value)


def test_numbers_that_are_not_finite_come_back():
    skeleton = json.loads(json.dumps(describe([math.nan, math.inf, -0.0], TorchArrays()).skeleton))
    nan, inf, zero = rebuild(Description(skeleton), TorchArrays())
    assert math.isnan(nan)
    assert inf == math.inf
    assert math.copysign(1.0, zero) == -1.0


@pytest.mark.parametrize(
    "value",
    [
        {1, 2, 3},
        frozenset({"a"}),
        deque([1, 2], maxlen=5),
        OrderedDict(b=1, a=2),
        Counter("hello"),
        Point(1, Point("a", None)),
        Colour.BLUE,
        Frozen(3, (1.0, 2.0)),
        SimpleNamespace(learning_rate=0.5, inner=SimpleNamespace(a=[1])),
        bytearray(b"ab"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("arrays", [JaxArrays(), TorchArrays()], ids=["jax", "torch"])
def test_containers_and_objects_come_back(tmp_path, value, arrays):
    # As a template: other values in objects of the same kind.
    templates = {
        Frozen: Frozen(0, ()),
        SimpleNamespace: SimpleNamespace(extra=1, inner=SimpleNamespace()),
        Colour: Colour.RED,
    }
    template = templates.get(type(value), value)
    rebuilt = through_disk({"x": value}, {"x": template}, tmp_path, arrays)["x"]
    assert rebuilt == value
    assert type(rebuilt) is type(value)
    assert getattr(rebuilt, "maxlen", None) == getattr(value, "maxlen", None)


@pytest.mark.parametrize("dtype", ["float64", "int8", "bool", "complex64", "uint16", "<U3"])
def test_numpy_arrays_and_scalars_come_back(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    described = describe([array, array[0, 1], array[:0]], TorchArrays())
    rebuilt = rebuild(described, TorchArrays())
    for value, other in zip(rebuilt, [array, array[0, 1], array[:0]], strict=True):
        assert type(value) is type(other)
        assert value.dtype == other.dtype
        assert np.array_equal(value, other)
    rebuilt[0][0, 0] = array[0, 0]  # writable, as it was


def test_numpy_arrays_of_types_that_numpy_lacks_come_back():
    array = np.asarray(jnp.asarray([1.5, 2.5], jnp.bfloat16))
    (rebuilt,) = rebuild(describe([array], JaxArrays()), JaxArrays())
    assert rebuilt.dtype == array.dtype
    assert rebuilt.tolist() == array.tolist()


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState, random.Random])
def test_generators_go_on_where_they_were(make):
    generator, fresh = make(3), make(4)
    generator.random(5) if make is not random.Random else generator.random()
    described = describe({"g": generator}, TorchArrays())
    rebuilt = rebuild(described, TorchArrays(), {"g": fresh})["g"]
    assert rebuilt.random() == generator.random()


def test_functions_are_taken_from_the_template(tmp_path):
    def old():
        """The function of the process that saved."""

    def new():
        """The function of the process that goes on."""

    jitted = jax.jit(lambda x: x)
    tree = [old, functools.partial(old), len, jitted, WithState]
    template = [new, functools.partial(new), len, jitted, WithState]
    assert through_disk(tree, template, tmp_path, JaxArrays()) == template


def test_objects_with_state_are_loaded_in_place(tmp_path):
    fresh = WithState(0)
    rebuilt = through_disk([WithState(7)], [fresh], tmp_path, TorchArrays())
    assert rebuilt[0] is fresh
    assert fresh.count == 7


class Opaque:
    """Holds its state where nobody finds it."""

    __slots__ = ("hidden",)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Opaque(), r"state\['a'\]\[0\]: a checkpoint cannot hold a .*Opaque.*state_dict"),
        (np.asarray([None]), "cannot hold an array of object"),
        (iter([1]), "cannot hold a builtins.list_iterator"),
    ],
)
def test_what_cannot_be_saved_is_named(value, said):
    with pytest.raises(CheckpointError, match=said):
        describe({"a": [value]}, TorchArrays())


def test_state_that_contains_itself_is_refused():
    tree = []
    tree.append({"again": tree})
    with pytest.raises(CheckpointError, match="refers to itself"):
        describe(tree, TorchArrays())


@pytest.mark.parametrize(
    ("tree", "template"),
    [
        ({"f": len}, {}),
        ({"f": len}, {"f": None}),
        ([WithState(1)], []),
        ([Point(1, 2)], [(1, 2)]),
        ({"o": SimpleNamespace()}, {"o": Frozen(0, ())}),
    ],
)
def test_what_a_fresh_state_lacks_is_said_before_anything_is_saved(tree, template):
    arrays = TorchArrays()
    described = describe(tree, arrays)
    assert "came up" in unrestorable(described.skeleton, describe(template, arrays).skeleton)
    with pytest.raises(CheckpointError, match="fresh state"):
        rebuild(described, arrays, template)


def test_state_may_grow_and_shrink(tmp_path):
    template = {"queue": [], "first": {"a": 1, "b": 2}, "point": Point(0, 0)}
    tree = {"queue": [Point(jnp.ones(2), 1), Point(jnp.zeros(2), 2)], "first": {"b": 3}, "extra": 5}
    rebuilt = through_disk(tree, template, tmp_path, JaxArrays())
    assert list(rebuilt) == ["queue", "first", "extra"]
    assert rebuilt["first"] == {"b": 3}
    assert [point.y for point in rebuilt["queue"]] == [1, 2]
    assert isinstance(rebuilt["queue"][0], Point)
    assert rebuilt["queue"][0].x.tolist() == [1.0, 1.0]


# JAX.


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", "int32", "bool", "uint8", "float8_e4m3fn"]
)
def test_jax_arrays_come_back_with_their_type(tmp_path, dtype):
    tree = {
        "a": jnp.asarray([[0, 1], [1, 0]], dtype),
        "scalar": jnp.asarray(1, dtype),
        "none": jnp.zeros((0, 3), dtype),
    }
    rebuilt = through_disk(tree, tree, tmp_path, JaxArrays())
    for name, array in tree.items():
        assert rebuilt[name].dtype == array.dtype
        assert rebuilt[name].shape == array.shape
        assert rebuilt[name].sharding == array.sharding
        assert rebuilt[name].committed == array.committed
        assert np.asarray(rebuilt[name]).tobytes() == np.asarray(array).tobytes()


def test_weakly_typed_scalars_stay_so(tmp_path):
    tree = [jnp.asarray(0.1), jnp.float32(0.1)]
    rebuilt = through_disk(tree, tree, tmp_path, JaxArrays())
    assert [array.weak_type for array in rebuilt] == [True, False]
    assert rebuilt[0] == tree[0]


@pytest.mark.parametrize(
    "key", [jax.random.key(3), jax.random.key(3, impl="rbg"), jax.random.PRNGKey(3)]
)
def test_random_keys_come_back(tmp_path, key):
    (rebuilt,) = through_disk([key], [key], tmp_path, JaxArrays())
    assert rebuilt.dtype == key.dtype
    assert jax.random.normal(rebuilt, (3,)).tolist() == jax.random.normal(key, (3,)).tolist()


OPTIMIZERS = {
    "chain": optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(0.1, 9))
    ),
    "injected": optax.inject_hyperparams(optax.sgd)(
        learning_rate=optax.linear_schedule(1.0, 0.0, 9), momentum=0.9
    ),
    "accumulating": optax.MultiSteps(optax.adam(0.1), 3),
    "masked": optax.masked(optax.lion(0.1), {"w": True, "b": False}),
    "partitioned": optax.partition(
        {"a": optax.adam(0.1), "b": optax.sgd(0.1, 0.9)}, {"w": "a", "b": "b"}
    ),
    "schedule free": optax.contrib.schedule_free_adamw(0.1),
    "finite": optax.apply_if_finite(optax.noisy_sgd(0.1, key=jax.random.key(0)), 3),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_optax_states_come_back(tmp_path, optimizer):
    params = {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}
    state = optimizer.init(params)
    _, trained = optimizer.update(params, state, params)
    template = JaxArrays().without_arrays((optimizer.init(params), optimizer.update))
    rebuilt, update = through_disk((trained, optimizer.update), template, tmp_path, JaxArrays())
    assert jax.tree.structure(rebuilt) == jax.tree.structure(trained)
    for leaf, other in zip(jax.tree.leaves(rebuilt), jax.tree.leaves(trained), strict=True):
        assert jnp.array_equal(leaf, other)
    expected, _ = optimizer.update(params, trained, params)
    actual, _ = update(params, rebuilt, params)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, actual, expected))


def test_registered_containers_come_back(tmp_path):
    flax_struct = pytest.importorskip("flax.struct")

    @flax_struct.dataclass
    class Averages:
        mean: object
        rate: float = flax_struct.field(pytree_node=False)

    frozen = pytest.importorskip("flax.core").freeze({"a": {"b": jnp.ones(2)}})
    tree = [Averages(jnp.ones(3), 0.5), frozen, defaultdict(list, a=[1])]
    template = JaxArrays().without_arrays(
        [Averages(jnp.zeros(3), 0.5), jax.tree.map(jnp.zeros_like, frozen), defaultdict(list)]
    )
    averages, rebuilt, lists = through_disk(tree, template, tmp_path, JaxArrays())
    assert averages.mean.tolist() == [1.0, 1.0, 1.0]
    assert averages.rate == 0.5
    assert type(rebuilt) is type(frozen)
    assert rebuilt["a"]["b"].tolist() == [1.0, 1.0]
    assert lists["new"] == []
    changed = [replace(tree[0], rate=0.25), *tree[1:]]
    described = [describe(value, JaxArrays()).skeleton for value in (changed, tree)]
    assert "came up" in unrestorable(*described)


def test_donated_array_is_said():
    array = jnp.ones(3)
    array.delete()
    with pytest.raises(CheckpointError, match="donated"):
        describe([array], JaxArrays())


def test_arrays_on_devices_that_are_gone_are_said(tmp_path):
    described = describe([jax.device_put(jnp.ones(3), jax.devices()[0])], JaxArrays())
    JaxArrays().write(tmp_path, described.arrays)
    facts = array_facts(described.skeleton)
    next(iter(facts.values()))["sharding"] = {"device": 77}
    with pytest.raises(CheckpointError, match=r"devices that are not here.*77"):
        JaxArrays().read(tmp_path, facts)


SHARDED = """
import sys
from pathlib import Path
import jax, jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P, SingleDeviceSharding
from algoperf_core.jax_checkpoints import JaxArrays
from algoperf_core.state_trees import Description, array_facts, describe, rebuild

devices = jax.devices()
assert len(devices) == 8
mesh = Mesh(__import__("numpy").asarray(devices).reshape(4, 2), ("batch", "model"))
shardings = [
    NamedSharding(mesh, P("batch")),
    NamedSharding(mesh, P(("batch", "model"), None)),
    NamedSharding(mesh, P()),
    SingleDeviceSharding(devices[5]),
]
tree = [jax.device_put(jnp.arange(32.0).reshape(8, 4), sharding) for sharding in shardings]
described = describe(tree, JaxArrays())
JaxArrays().write(Path(sys.argv[1]), described.arrays)
read = JaxArrays().read(Path(sys.argv[1]), array_facts(described.skeleton))
rebuilt = rebuild(Description(described.skeleton, read), JaxArrays())
for array, other in zip(rebuilt, tree):
    assert array.sharding == other.sharding, (array.sharding, other.sharding)
    assert jnp.array_equal(array, other)
"""


def test_arrays_come_back_to_their_devices(tmp_path):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    subprocess.run([sys.executable, "-c", SHARDED, str(tmp_path)], check=True, env=environment)


# PyTorch.


def test_torch_tensors_come_back(tmp_path):
    tree = {
        "a": torch.randn(2, 3, dtype=torch.bfloat16),
        "i": torch.arange(3),
        "grown": torch.ones(2, requires_grad=True),
        "p": torch.nn.Parameter(torch.zeros(2)),
        "facts": [torch.float16, torch.device("cpu"), torch.Size([2, 3])],
    }
    rebuilt = through_disk(tree, {}, tmp_path, TorchArrays())
    for name in ("a", "i", "grown", "p"):
        assert type(rebuilt[name]) is type(tree[name])
        assert rebuilt[name].dtype == tree[name].dtype
        assert rebuilt[name].requires_grad == tree[name].requires_grad
        assert torch.equal(rebuilt[name], tree[name])
    assert rebuilt["facts"] == tree["facts"]


def test_generator_of_torch_goes_on(tmp_path):
    generator = torch.Generator().manual_seed(3)
    torch.rand(2, generator=generator)
    (rebuilt,) = through_disk([generator], [torch.Generator()], tmp_path, TorchArrays())
    assert torch.equal(torch.rand(2, generator=rebuilt), torch.rand(2, generator=generator))


def test_tensors_of_the_model_stay_those_of_the_model(tmp_path):
    saved, fresh = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    tree = {
        "live": list(saved.parameters()),
        "data": saved.weight.data,
        "copy": saved.weight.detach().clone(),
    }
    rebuilt = through_disk(tree, {}, tmp_path, TorchArrays(saved), TorchArrays(fresh))
    assert rebuilt["live"][0] is fresh.weight
    assert rebuilt["data"].data_ptr() == fresh.weight.data_ptr()
    assert torch.equal(rebuilt["copy"], saved.weight)
    assert rebuilt["copy"].data_ptr() != fresh.weight.data_ptr()


def test_tensors_that_share_memory_still_do(tmp_path):
    tensor = torch.zeros(3)
    rebuilt = through_disk([tensor, tensor[1:]], [], tmp_path, TorchArrays())
    rebuilt[0][1] = 5.0
    assert rebuilt[1][0] == 5.0


class Integers(torch.optim.Optimizer):
    """Keeps a whole number beside a parameter of half precision."""

    def __init__(self, params):
        super().__init__(params, {})

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                state["seen"] = state.get("seen", torch.zeros((), dtype=torch.int64)) + 2**24 + 1
                state["sum"] = torch.full((2,), 0.1, dtype=torch.float32)


def test_optimizer_keeps_the_types_of_its_tensors(tmp_path):
    def make():
        return Integers([torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))])

    optimizer, fresh = make(), make()
    optimizer.step()
    through_disk([optimizer], [fresh], tmp_path, TorchArrays())
    (state,) = fresh.state.values()
    assert state["seen"].dtype == torch.int64
    assert state["seen"] == 2**24 + 1
    assert state["sum"].dtype == torch.float32


def test_accumulated_gradients_and_global_generators_come_back(tmp_path):
    saved, fresh = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    saved(torch.ones(1, 2)).sum().backward()
    arrays = TorchArrays()
    torch.manual_seed(11)
    hidden = through_disk(arrays.hidden_state(saved), {}, tmp_path, arrays)
    expected = torch.rand(2)
    arrays.set_hidden_state(fresh, hidden)
    assert torch.equal(fresh.weight.grad, saved.weight.grad)
    assert torch.equal(torch.rand(2), expected)


def test_file_that_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("ran",))

    torch.save({"a": Trap()}, tmp_path / "tensors.pt")
    with pytest.raises(CheckpointError, match="Weights only"):
        TorchArrays().read(tmp_path, {"a": {}})


def test_containers_of_another_framework_are_refused_by_name():
    with pytest.raises(CheckpointError, match="holds a 'FrozenDict', which PyTorch does not have"):
        TorchArrays().unflatten("FrozenDict", [])


@pytest.mark.parametrize("mark", [(), (MadeAnew,)])
def test_what_set_up_makes_anew_is_left_out_whatever_it_holds(mark):
    class Training(*mark):
        def __init__(self):
            self.folder = Path("not restorable")

    if mark:
        assert list(describe({"training": Training()}, TorchArrays(), "state").arrays) == []
    else:
        with pytest.raises(CheckpointError, match="training"):
            describe({"training": Training()}, TorchArrays(), "state")
