import importlib
from pathlib import Path

import pytest

from algoperf_core.registry import workload_provider
from algoperf_core.testing import FakeClock
from algoperf_scoring import BenchmarkWorkload


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
