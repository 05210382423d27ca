"""Our own baselines and examples have no findings at error level."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from algoperf_core.check.findings import of_grade
from algoperf_core.check.modules import read_submission
from algoperf_core.check.rules import Grade
from algoperf_core.check.static import read_rules
from algoperf_core.check.verdict import check_submission, known_workloads
from algoperf_core.scaffold import write_submission

REPOSITORY = Path(__file__).parents[4]
EXAMPLES = [
    *sorted((REPOSITORY / "packages/algoperf-core/tests/published_style").glob("*.py")),
    *(path for path in [REPOSITORY / "integration/signum.py"] if path.exists()),
]
BASELINES = ("adamw", "nadamw", "nesterov")
needs_baselines = pytest.mark.skipif(
    find_spec("algoperf_baselines") is None, reason="algoperf-baselines is not installed"
)


def read(reference):
    return read_rules(read_submission(str(reference)), known_workloads())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_no_findings_in_their_source(path):
    assert read(path) == []


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
@pytest.mark.parametrize("style", ["optimizer", "full"])
def test_templates_have_no_findings_in_their_source(tmp_path, framework, style):
    folder = write_submission("mine", framework, style, tmp_path)
    assert read(folder) == []


@needs_baselines
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_have_no_findings_in_their_source(name):
    assert read(name) == []


@needs_baselines
@pytest.mark.skipif(find_spec("algoperf_vision") is None, reason="the workload is not installed")
@pytest.mark.parametrize("framework", ["jax", "pytorch"])
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_have_no_findings_on_a_real_workload(tmp_path, name, framework):
    for needed in ("sklearn", "jax" if framework == "jax" else "torch"):
        pytest.importorskip(needed)
    verdict = check_submission(
        name,
        framework=framework,
        workloads=("digits",),
        steps=6,
        data_dir=tmp_path,
        twice=name == "adamw",
    )
    assert verdict.findings == ()
    assert [run.evaluations for run in verdict.runs] == [6]


@pytest.mark.parametrize("page", ["packages/algoperf-core/README.md", "docs/tutorial.md"])
def test_submissions_in_the_documentation_have_no_errors(tmp_path, page):
    blocks = (REPOSITORY / page).read_text().split("```python\n")[1:]
    texts = [block.partition("```")[0] for block in blocks]
    complete = [text for text in texts if "submission = from_" in text]
    assert complete
    for number, text in enumerate(complete):
        path = tmp_path / f"example_{number}.py"
        path.write_text(text)
        assert of_grade(read(path), Grade.ERROR) == []
