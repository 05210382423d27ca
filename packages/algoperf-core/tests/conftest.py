import importlib
import os
import signal
from pathlib import Path

import pytest

from algoperf_core.registry import workload_provider
from algoperf_core.testing import FakeClock
from algoperf_core.trackers import TrialFacts
from algoperf_core.tuning import hyperparameters
from algoperf_scoring import BenchmarkWorkload


@pytest.fixture(scope="session", autouse=True)
def _bytecode(pytestconfig):
    """Processes that tests start do not compile a framework each, where the environment forbids bytecode."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            patch.delenv("PYTHONDONTWRITEBYTECODE")
            patch.setenv("PYTHONPYCACHEPREFIX", str(pytestconfig.cache.mkdir("bytecode")))
        yield


# A shell that starts the tests in the background makes them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def goal():
    """Accuracy 0.9 on validation and 0.8 on test, 100 s, an evaluation every 10 s."""
    return BenchmarkWorkload(
        name="scripted",
        metric="accuracy",
        direction="maximize",
        validation_target=0.9,
        test_target=0.8,
        budget_s=100.0,
        step_hint=50,
        eval_period_s=10.0,
    )


PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture
def plugin(monkeypatch):
    """A third party's package, installed: workload `toy`, submission `toy_optimizer`, a benchmark."""
    monkeypatch.syspath_prepend(PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN))
    importlib.invalidate_caches()
    workload_provider.cache_clear()
    yield PLUGIN
    workload_provider.cache_clear()


@pytest.fixture
def small_net(plugin):
    """The module `toy_plugin.small_net`: a net with batch norm and dropout, and trials without a clock."""
    return importlib.import_module("toy_plugin.small_net")


@pytest.fixture
def make_trial(small_net):
    """`(framework, point, batch_norm, valid, **options)` to a trial with plain gradient descent.

    `options` go to `from_optax` or `from_torch`; `optimizer` replaces the factory.
    """

    def make(framework, point=None, batch_norm=True, valid=64, optimizer=None, **options):
        values = {"learning_rate": 0.5} | (point or {})
        if framework == "jax":
            optax = pytest.importorskip("optax")
            from algoperf_core import from_optax

            factory = optimizer or (lambda h, steps: optax.sgd(h.learning_rate))
            submission = from_optax(factory, batch_size=64, **options)
            workload = small_net.JaxSmallNet(batch_norm, valid)
        else:
            torch = pytest.importorskip("torch")
            from algoperf_core import from_torch

            factory = optimizer or (lambda p, h, steps: torch.optim.SGD(p, h.learning_rate))
            submission = from_torch(factory, batch_size=64, **options)
            workload = small_net.TorchSmallNet(batch_norm, valid)
        return small_net.Trial(submission, workload, hyperparameters(values))

    return make


@pytest.fixture
def facts(tmp_path):
    """What a tracker is told of a trial."""
    return TrialFacts(
        trial_dir=str(tmp_path),
        benchmark="toy-benchmark",
        ruleset="external",
        submission="mine",
        framework="jax",
        workload="toy",
        study=0,
        trial=2,
        seed=7,
        metric="loss",
        target=0.05,
        budget_s=20.0,
    )
