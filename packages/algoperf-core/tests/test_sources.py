"""Finding and loading submissions; what a faulty one is told."""

import pytest

from algoperf_core.errors import SubmissionError
from algoperf_core.sources import find_submission, load
from algoperf_core.submission import next_batch
from algoperf_scoring import UnknownNameError

FUNCTIONS = {
    "get_batch_size": "def get_batch_size(workload_name):\n    return 8\n",
    "init_optimizer_state": (
        "def init_optimizer_state(workload, params, state, hyperparameters, rng):\n    return {}, None\n"
    ),
    "update_params": "def update_params(**everything):\n    return None, None, None\n",
    "data_selection": (
        "def data_selection(workload, input_queue, optimizer_state, model_params, model_state,\n"
        "                   hyperparameters, global_step, rng):\n    return next(input_queue)\n"
    ),
}


def write(path, without=(), extra="", **replaced):
    functions = FUNCTIONS | replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        extra + "".join(text for name, text in functions.items() if name not in without)
    )
    return str(path)


def test_file_in_the_published_api_is_loaded(tmp_path):
    source = find_submission(write(tmp_path / "mine" / "submission.py", extra="import jax\n"))
    submission = load(source, "jax")
    assert source.name == "mine"
    assert list(source.files) == ["jax"]
    assert submission.get_batch_size("any") == 8
    assert submission.prepare_for_eval is None
    assert not submission.wants_train_state


def test_file_is_named_after_itself_and_its_folder_after_the_folder(tmp_path):
    assert find_submission(write(tmp_path / "sgd.py")).name == "sgd"
    write(tmp_path / "folder" / "submission.py")
    assert find_submission(str(tmp_path / "folder")).name == "folder"


def test_relative_imports_inside_the_folder_work_without_init(tmp_path):
    write(tmp_path / "a" / "submission.py", extra="from .rule import SIZE\n")
    (tmp_path / "a" / "rule.py").write_text("SIZE = 3\n")
    assert load(find_submission(str(tmp_path / "a")), "jax")


def test_two_submissions_with_the_same_file_names_do_not_mix(tmp_path):
    for name, size in (("a", 1), ("b", 2)):
        extra = f"from .rule import SIZE\nNAME = '{name}'\n"
        size_function = "def get_batch_size(name):\n    return SIZE\n"
        write(tmp_path / name / "submission.py", extra=extra, get_batch_size=size_function)
        (tmp_path / name / "rule.py").write_text(f"SIZE = {size}\n")
    sizes = [load(find_submission(str(tmp_path / n)), "jax").get_batch_size("") for n in "ab"]
    assert sizes == [1, 2]


@pytest.mark.parametrize("missing", list(FUNCTIONS))
def test_missing_function_is_named_with_file_and_fix_before_anything_is_imported(tmp_path, missing):
    path = write(tmp_path / "submission.py", without=[missing], extra="import no_such_module\n")
    with pytest.raises(SubmissionError, match=rf"submission\.py: missing {missing}\..*from_optax"):
        find_submission(path)


def test_name_that_is_defined_but_no_function_is_said_on_load(tmp_path):
    path = write(tmp_path / "submission.py", update_params="update_params = 3\n")
    with pytest.raises(SubmissionError, match="missing update_params"):
        load(find_submission(path), "jax")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("get_batch_size", "def get_batch_size():\n    return 1\n", "with 1 positional"),
        (
            "init_optimizer_state",
            "def init_optimizer_state(a, b):\n    return 1\n",
            "with 5 positional",
        ),
        ("data_selection", "def data_selection(queue):\n    return 1\n", "with 8 positional"),
        (
            "update_params",
            "def update_params(workload):\n    return 1\n",
            "with the keywords workload",
        ),
    ],
)
def test_wrong_signature_is_said(tmp_path, name, text, said):
    path = write(tmp_path / "submission.py", **{name: text})
    with pytest.raises(SubmissionError, match=rf"{name}\(.*cannot be called {said}"):
        load(find_submission(path), "jax")


def test_wrong_signature_of_prepare_for_eval_is_said(tmp_path):
    path = write(tmp_path / "submission.py", extra="def prepare_for_eval(batch):\n    return 1\n")
    with pytest.raises(SubmissionError, match=r"prepare_for_eval\(batch\) cannot be called"):
        load(find_submission(path), "jax")


def test_update_params_that_names_train_state_gets_it(tmp_path):
    text = "def update_params(train_state, **everything):\n    return None, None, None\n"
    path = write(tmp_path / "submission.py", update_params=text)
    assert load(find_submission(path), "jax").wants_train_state


def test_file_that_is_not_python_is_said(tmp_path):
    path = tmp_path / "submission.py"
    path.write_text("def update_params(:\n")
    with pytest.raises(SubmissionError, match=r"submission\.py: not valid Python.*line 1"):
        find_submission(str(path))


def test_missing_path_is_said(tmp_path):
    with pytest.raises(SubmissionError, match="no such file or folder"):
        find_submission(str(tmp_path / "none.py"))


def test_folder_without_a_submission_says_which_files_it_lacks(tmp_path):
    with pytest.raises(SubmissionError, match=r"none of submission\.py, submission_jax\.py"):
        find_submission(str(tmp_path))


def test_file_of_another_kind_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(SubmissionError, match=r"a \.py file or a folder"):
        find_submission(str(tmp_path / "notes.txt"))


def test_unknown_name_suggests_the_nearest(plugin):
    with pytest.raises(UnknownNameError, match=r"toy_optimiser.*toy_optimizer"):
        find_submission("toy_optimiser")


def test_installed_submission_has_a_file_per_framework(plugin):
    source = find_submission("toy_optimizer")
    assert list(source.files) == ["jax", "pytorch"]
    assert source.choose_framework(None) == "jax"
    assert source.choose_framework("pytorch") == "pytorch"
    assert source.search_space.exists()


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_installed_submission_loads_in_both_frameworks(plugin, framework):
    submission = load(find_submission("toy_optimizer"), framework)
    assert submission.framework == framework
    assert submission.data_selection is next_batch


def test_framework_that_a_submission_is_not_written_for_is_said(tmp_path):
    source = find_submission(write(tmp_path / "submission.py", extra="import torch\n"))
    assert list(source.files) == ["pytorch"]
    with pytest.raises(SubmissionError, match="written for pytorch, not for jax"):
        source.choose_framework("jax")


def test_digest_changes_with_the_submission_and_with_nothing_else(tmp_path):
    path = write(tmp_path / "a" / "submission.py")
    before = find_submission(path).sha256("jax")
    (tmp_path / "a" / "notes.txt").write_text("irrelevant")
    assert find_submission(path).sha256("jax") == before
    write(tmp_path / "a" / "submission.py", extra="# changed\n")
    assert find_submission(path).sha256("jax") != before


def test_digest_of_a_folder_covers_its_helper_modules(tmp_path):
    write(tmp_path / "a" / "submission.py")
    before = find_submission(str(tmp_path / "a")).sha256("jax")
    (tmp_path / "a" / "rule.py").write_text("SIZE = 3\n")
    assert find_submission(str(tmp_path / "a")).sha256("jax") != before
