"""Importing the package is light."""

import subprocess
import sys

import algoperf_scoring

CHECK = """
import sys
before = set(sys.modules)
import algoperf_scoring
allowed = set(sys.stdlib_module_names) | {"numpy", "algoperf_scoring"}
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(name for name in new if name not in allowed and not name.startswith("_")))
print([name for name in ("rich", "matplotlib", "pandas") if name in sys.modules])
"""


def test_importing_needs_only_the_standard_library_and_numpy():
    command = [sys.executable, "-c", CHECK]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.split("\n")[:2] == ["[]", "[]"]


def test_every_public_name_exists():
    assert all(hasattr(algoperf_scoring, name) for name in algoperf_scoring.__all__)
    assert sorted(algoperf_scoring.__all__) == algoperf_scoring.__all__
