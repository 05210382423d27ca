"""Two processes that train together come to the numbers of one, in both frameworks."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import devices_run
import numpy as np
import pytest

from algoperf_core.launcher import torchrun_environment

pytest.importorskip("optax")
pytest.importorskip("torch")

HERE = Path(__file__).parent
RUN = HERE / "devices_run.py"
LIMIT_S = 240


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(**extra):
    return {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
        **extra,
    }


def torch_processes(arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return [subprocess.Popen([*command, str(RUN), "pytorch", *arguments], env=environment())]


def jax_processes(arguments):
    coordinator = ["--coordinator", f"127.0.0.1:{free_port()}", "--processes", "2"]
    return [
        subprocess.Popen(
            [sys.executable, str(RUN), "jax", *arguments, *coordinator, "--process-id", str(rank)],
            env=environment(),
        )
        for rank in range(2)
    ]


@pytest.fixture(scope="module")
def together(tmp_path_factory, data_dir):
    """What each of two processes found, by framework; all is found in one launch."""
    known = {}

    def find(framework):
        if framework not in known:
            folder = tmp_path_factory.mktemp(f"two_{framework}")
            start = {"jax": jax_processes, "pytorch": torch_processes}[framework]
            processes = start([data_dir, str(folder)])
            assert [process.wait(LIMIT_S) for process in processes] == [0] * len(processes)
            known[framework] = [dict(np.load(folder / f"rank_{rank}.npz")) for rank in range(2)]
        return known[framework]

    return find


@pytest.fixture(scope="module")
def alone(tmp_path_factory, data_dir):
    """What one process finds, by framework."""
    known = {}

    def find(framework):
        if framework not in known:
            folder = tmp_path_factory.mktemp(f"one_{framework}")
            known[framework] = devices_run.results(framework, folder, data_dir)
        return known[framework]

    return find


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
@pytest.mark.parametrize("what", ["whole", "parts", "sam", "awkward"])
def test_two_processes_come_to_the_numbers_of_one(together, alone, framework, what):
    expected = {name: v for name, v in alone(framework).items() if name.startswith(what)}
    assert expected
    for found in together(framework):
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_all_processes_have_the_same_parameters_statistics_and_metrics(together, framework):
    first, second = together(framework)
    shared = [name for name in first if "state " in name or "metrics " in name]
    assert len(shared) > 20
    for name in shared:
        assert first[name].tobytes() == second[name].tobytes(), name


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_interrupted_trial_of_two_processes_ends_with_the_same_bits(together, framework):
    for found in together(framework):
        names = [name for name in found if name.startswith("undisturbed")]
        assert names
        for name in names:
            other = name.replace("undisturbed", "interrupted")
            assert found[name].tobytes() == found[other].tobytes(), name


def test_processes_draw_different_numbers_for_dropout(together):
    first, second = together("pytorch")
    assert not np.array_equal(first["undisturbed draw"], second["undisturbed draw"])


def test_published_submissions_sum_over_processes_themselves(together, data_dir):
    for name, gradient in devices_run.published_style(data_dir).items():
        for found in together("pytorch"):
            np.testing.assert_allclose(found[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ["norm", "compiled"])
def test_batch_norm_over_unequal_parts_is_that_of_the_whole_batch(together, name):
    whole = devices_run.batch_norm(1, 0, compiled=False)
    parts = together("pytorch")
    for what in ("output", "gradient"):
        found = np.concatenate([part[f"{name} {what}"] for part in parts])
        np.testing.assert_allclose(found, whole[f"norm {what}"], rtol=1e-4, atol=1e-4)
    for part in parts:
        for what in ("parameters", "averages"):
            np.testing.assert_allclose(part[f"{name} {what}"], whole[f"norm {what}"], rtol=1e-4)


def test_evaluation_that_fails_in_one_process_fails_in_all(together):
    first, second = (str(found["failure"]) for found in together("pytorch"))
    assert first == "the evaluation failed in another process"
    assert second == "no memory in this one"


def test_environment_is_that_of_torchrun():
    variables = torchrun_environment(1, 2, 29500)
    assert variables["RANK"] == variables["LOCAL_RANK"] == "1"
    assert (variables["WORLD_SIZE"], variables["MASTER_PORT"]) == ("2", "29500")
