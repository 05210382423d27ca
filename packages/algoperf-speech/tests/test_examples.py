import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import algoperf_speech

MODULES = [module.name for module in pkgutil.iter_modules(algoperf_speech.__path__)]
README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_run(name):
    module = importlib.import_module(f"algoperf_speech.{name}")
    assert doctest.testmod(module).failed == 0


def test_example_of_the_readme_runs():
    outcome = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 0
    assert outcome.failed == 0
