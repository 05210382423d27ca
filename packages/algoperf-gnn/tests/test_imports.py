import subprocess
import sys
from importlib.metadata import version

import algoperf_gnn

FRAMEWORKS = {"flax", "jax", "tensorflow", "torch"}


def test_import_loads_no_framework():
    program = "import sys, algoperf_gnn; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert FRAMEWORKS.isdisjoint(done.stdout.decode().split())


def test_version_is_that_of_the_distribution():
    assert version("algoperf-gnn") == algoperf_gnn.__version__


def test_public_names_exist_and_are_documented():
    for name in algoperf_gnn.__all__:
        assert getattr(algoperf_gnn, name).__doc__
