"""Files in the published style run as they are, under both package names."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from algoperf_core import sharding, spec
from algoperf_core.campaign import Campaign
from algoperf_core.outcomes import Outcome
from algoperf_core.published import PUBLISHED_PACKAGES, install_aliases
from algoperf_core.trial import run_trial
from algoperf_scoring import load_benchmark

FOLDER = Path(__file__).parent / "published_style"


@pytest.fixture
def aliases(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in PUBLISHED_PACKAGES]:
        monkeypatch.delitem(sys.modules, name)
    install_aliases()


@pytest.mark.parametrize("name", ["momentum_jax", "momentum_torch"])
def test_file_in_the_published_style_trains_to_the_target(plugin, tmp_path, name):
    pytest.importorskip({"momentum_jax": "jax", "momentum_torch": "torch"}[name])
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"learning_rate": {"feasible_points": [0.01]}}))
    campaign = Campaign(
        benchmark=load_benchmark("toy-benchmark"),
        ruleset="external",
        submissions=(str(FOLDER / f"{name}.py"),),
        runs=tmp_path / "runs",
        data_dir=tmp_path,
        search_space=space,
        studies=1,
        trials=1,
    )
    assert run_trial(campaign.prepare()[0]).outcome is Outcome.TARGET_REACHED


@pytest.mark.parametrize("package", PUBLISHED_PACKAGES)
def test_published_names_are_our_objects(aliases, package):
    imported = importlib.import_module(f"{package}.spec")
    assert importlib.import_module(package).spec is spec
    assert imported.ForwardPassMode is spec.ForwardPassMode
    assert imported.TrainingCompleteError is spec.TrainingCompleteError


@pytest.mark.parametrize("package", PUBLISHED_PACKAGES)
def test_shardings_have_their_published_names(aliases, package):
    pytest.importorskip("jax")
    published = importlib.import_module(f"{package}.jax_sharding_utils")
    assert published.get_replicate_sharding() == sharding.replicated()
    assert published.get_batch_dim_sharding() == sharding.batch_sharded()


def test_pytorch_set_up_follows_torchrun(aliases, monkeypatch):
    torch = pytest.importorskip("torch")
    setup = importlib.import_module("algoperf.pytorch_utils").pytorch_setup
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert setup()[:2] == (False, 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    use_ddp, rank, device, count = setup()
    assert (use_ddp, rank, count) == (True, 1, torch.cuda.device_count())
    assert device.type in ("cpu", "cuda")


def test_package_that_is_really_installed_under_a_published_name_is_left_alone(tmp_path):
    (tmp_path / "algoperf.py").write_text("MINE = True\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from algoperf_core.published import install_aliases; install_aliases()\n"
        "import algoperf, algorithmic_efficiency; print(algoperf.MINE, algorithmic_efficiency.__name__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "algoperf_core.published"]
