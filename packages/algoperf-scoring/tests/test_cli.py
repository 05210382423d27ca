import json
import os
import subprocess
import sys

import pytest

from algoperf_scoring import __version__, load_benchmark
from algoperf_scoring.cli import main


@pytest.fixture
def logs(tree, benchmark_small):
    tree.trial("mine/study_0/digits_jax/trial_1", [(10.0, 0.95)])
    tree.trial("yours/study_0/digits_jax/trial_1", [(25.0, 0.95)])
    tree.folder("yours/study_0/digits_jax/trial_2")
    (tree.root / "mine" / "benchmark.toml").write_text(benchmark_small.to_toml())
    return str(tree.root)


def test_logs_alone_are_enough_when_they_carry_their_benchmark(logs, capsys):
    assert main([logs]) == 0
    output = capsys.readouterr().out
    assert "small, external tuning, grid integration" in output
    assert "  trial without eval_measurements.csv: yours/study_0/digits_jax/trial_2" in output
    assert "  2 scored workloads without measurements" in output


def test_notes_can_be_silenced(logs, capsys):
    assert main([logs, "--quiet-notes"]) == 0
    assert "Notes" not in capsys.readouterr().out


def test_json_on_standard_output_is_all_there_is(logs, capsys):
    assert main([logs, "--json", "-", "--method", "exact"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["scores"] == {"mine": 0.5, "yours": 0.25}
    assert captured.err == ""


def test_json_and_figure_are_written_to_files(logs, tmp_path, capsys):
    results, figure = tmp_path / "results.json", tmp_path / "profiles.png"
    assert main([logs, "--json", str(results), "--plot", str(figure)]) == 0
    assert list(json.loads(results.read_text())["scores"]) == ["mine", "yours"]
    assert figure.stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "Scores" in printed
    assert f"Wrote {results}\nWrote {figure}\n" in printed


def test_ruleset_and_submissions_can_be_chosen(logs, capsys):
    arguments = [logs, "--ruleset", "self", "--exclude", "mine", "--json", "-"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["ruleset"], result["scores"]) == ("self", {"yours": 0.5})


def test_a_definition_on_the_command_line_wins_over_the_copies(logs, tmp_path, capsys, definition):
    path = tmp_path / "other.toml"
    path.write_text(definition.replace('name = "small"', 'name = "other"'))
    assert main([logs, "--benchmark", str(path), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["benchmark"] == "other"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmark", "algoperf-v0.7"], "unknown benchmark 'algoperf-v0.7': did you mean"),
        (["--benchmark", "no.toml"], "no.toml: cannot read this benchmark definition"),
        (["--ruleset", "extern"], "did you mean 'external'"),
        (["--include", "min"], "unknown submission 'min': did you mean 'mine'"),
        (["--json", "no/folder/file.json"], "cannot write into the folder"),
    ],
)
def test_bad_input_is_one_message_and_status_two(logs, capsys, arguments, message):
    assert main([logs, *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("algoperf-score: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_logs_without_a_benchmark_list_the_available_ones(tree, capsys):
    tree.trial("mine/study_0/mnist_jax/trial_1", [(10.0, 0.98)])
    assert main([str(tree.root)]) == 2
    assert "algoperf-v0.5, algoperf-v0.6" in capsys.readouterr().err


def test_an_unknown_option_is_status_two(logs, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([logs, "--metod", "exact"])
    assert "--metod" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"algoperf-score {__version__}\n"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "import sys; from algoperf_scoring.cli import main; sys.exit(main())",
    ]
    environment = {**os.environ, **environment}
    return subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)


def test_a_pipe_without_unicode_gets_plain_characters(logs):
    process = run(logs, PYTHONIOENCODING="ascii", COLUMNS="80")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.isascii()
    assert "mine" in process.stdout


def test_a_failure_has_no_traceback(tmp_path):
    process = run(str(tmp_path), "--benchmark", "algoperf-v0.6")
    assert process.returncode == 2
    assert process.stderr.startswith("algoperf-score: error: ")
    assert "Traceback" not in process.stderr


def test_published_logs_are_scored_by_one_command(published_logs, capsys):
    logs = str(published_logs("algoperf-v0.6"))
    assert main([logs, "--benchmark", "algoperf-v0.6", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {name: round(score, 4) for name, score in result["scores"].items()} == {
        "shampoo": 0.6244,
        "baseline": 0.459,
    }
    assert result["base"] == list(load_benchmark("algoperf-v0.6").base)
