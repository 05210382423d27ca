"""`from_torch` under `DistributedDataParallel`: the numbers of one process."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from algoperf_core import decay_groups

torch = pytest.importorskip("torch")

RUN = Path(__file__).parent / "data_parallel_run.py"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("count", [1, 4])
def test_two_processes_give_the_numbers_of_one(make_trial, plugin, tmp_path, count):
    def optimizer(parameters, h, steps, parameter_types):
        groups = decay_groups(parameters, parameter_types, 0.01)
        return torch.optim.SGD(groups, h.learning_rate, momentum=0.9)

    point = {"learning_rate": 0.2, "grad_clip": 0.5}
    options = {"batch_norm": False, "valid": 45, "sam_rho": 0.05}
    alone = make_trial("pytorch", point, optimizer=optimizer, **options)
    expected = alone.step(6)

    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(plugin), "OMP_NUM_THREADS": "1"}
    port, files = str(free_port()), [tmp_path / f"{rank}.npz" for rank in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, str(RUN), str(rank), port, str(count), str(file)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, file in enumerate(files)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    for file in files:
        found = dict(np.load(file))
        assert found.pop("loss") == pytest.approx(alone.logged["loss"], rel=1e-5)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
