import json
import os
import subprocess
import sys

import pytest

from algoperf_scoring import __version__, load_benchmark
from algoperf_scoring.cli import main


@pytest.fixture
def logs(tree, benchmark_small):
    tree.trial("mine/study_0/digits_jax/trial_1", [(5.0, 0.1), (10.0, 0.95)])
    tree.trial("yours/study_0/digits_jax/trial_1", [(12.0, 0.1), (25.0, 0.95)])
    tree.folder("yours/study_0/digits_jax/trial_2")
    (tree.root / "mine" / "benchmark.toml").write_text(benchmark_small.to_toml())
    return str(tree.root)


def test_logs_alone_are_enough_when_they_carry_their_benchmark(logs, capsys):
    assert main([logs]) == 0
    output = capsys.readouterr().out
    assert "small, external tuning, grid integration" in output
    assert "  trial without eval_measurements.csv: yours/study_0/digits_jax/trial_2" in output
    assert "  2 scored workloads without measurements: mine 1, yours 1" in output


def test_findings_can_be_silenced(logs, capsys):
    assert main([logs, "--quiet-notes"]) == 0
    assert "Findings" not in capsys.readouterr().out


def test_the_audit_tells_everything(logs, capsys):
    assert main([logs, "--audit"]) == 0
    output = capsys.readouterr().out
    assert "  violation: scored workload without measurements: yours/wine" in output
    assert (
        "  warning: trial without eval_measurements.csv: yours/study_0/digits_jax/trial_2" in output
    )
    audit = output[output.index("Audit") :].splitlines()
    assert ["mine", "digits", "1/1", "1/1", "1", "counts"] in [line.split() for line in audit]


def test_strict_scoring_fails_with_every_violation(logs, capsys):
    assert main([logs, "--strict"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "algoperf-score: error: 2 violations of the benchmark's rules:\n"
        "  scored workload without measurements: mine/wine\n"
        "  scored workload without measurements: yours/wine\n"
    )
    assert main([logs, "--strict", "--workload", "digits"]) == 0


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


def test_uncertainty_is_told_and_in_the_json(logs, tree, tmp_path, capsys):
    tree.trial("mine/study_1/digits_jax/trial_1", [(5.0, 0.1), (10.0, 0.95)])
    results = tmp_path / "results.json"
    arguments = ["--uncertainty", "--resamples", "20", "--seed", "4", "--speedup", "yours"]
    arguments += ["--workload", "digits", "--confidence", "0.8", "--levels", "studies"]
    assert main([logs, *arguments, "--json", str(results)]) == 0
    output = capsys.readouterr().out
    assert "80% interval" in output
    assert "Speedups over yours" in output
    assert "Sensitivity" in output
    result = json.loads(results.read_text())
    assert result["bootstrap"]["resamples"] == 20
    assert result["speedups"]["speedups"]["mine"] == pytest.approx(2.5)


def test_tables_are_written_for_pages_and_papers(logs, tmp_path):
    markdown, latex, times = (tmp_path / name for name in ("t.md", "t.tex", "t.csv"))
    arguments = ["--markdown", str(markdown), "--latex", str(latex), "--csv", str(times)]
    assert main([logs, *arguments, "--audit"]) == 0
    assert markdown.read_text().startswith("**Scores**\n\n| # | submission | score |")
    assert "**Audit**" in markdown.read_text()
    assert latex.read_text().count(r"\begin{tabular}") == 4
    assert main([str(times), "--json", str(tmp_path / "again.json"), "--method", "grid"]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["scores"] == {"mine": 1.0, "yours": pytest.approx(0.5, abs=1 / 198)}


def test_figures_and_report_are_written(logs, tmp_path, capsys):
    folder, report = tmp_path / "figures", tmp_path / "report.html"
    arguments = ["--figures", str(folder), "--figure-format", "svg", "--report", str(report)]
    assert main([logs, *arguments, "--resamples", "20"]) == 0
    printed = capsys.readouterr().out
    assert sorted(folder.glob("*.svg"))
    for path in (report, *folder.iterdir()):
        assert f"Wrote {path}\n" in printed
    assert report.read_text().startswith("<!doctype html>")


def test_rules_can_be_changed_for_once(logs, capsys):
    arguments = [logs, "--json", "-", "--max-ratio", "2", "--study-time", "fastest_trial"]
    assert main([*arguments, "--reference", "yours"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["scoring"]["max_ratio"] == 2.0
    assert result["scoring"]["study_time"] == "fastest_trial"
    assert result["reference"] == "yours"
    # 25 s are more than twice the fastest, so that the reference itself does not count.
    assert result["ratios"] == {
        "mine": {"digits": 0.0, "wine": None},
        "yours": {"digits": None, "wine": None},
    }


def test_ruleset_and_submissions_can_be_chosen(logs, capsys):
    arguments = [logs, "--ruleset", "self", "--exclude", "mine", "--json", "-"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["ruleset"], result["scores"]) == ("self", {"yours": 0.5})


def test_several_folders_are_scored_together(logs, tree, tmp_path, capsys, benchmark_small):
    from dataclasses import replace

    other = replace(tree, root=tmp_path / "more")
    other.trial("theirs/study_0/digits_jax/trial_1", [(20.0, 0.95)])
    assert main([logs, str(other.root), "--json", "-", "--method", "exact"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert list(scores) == ["mine", "theirs", "yours"]


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
        (["--workload", "digit"], "did you mean 'digits'"),
        (["--max-ratio", "1"], "max_ratio: expected a finite number greater than 1"),
        (["--reference", "min"], "unknown reference submission 'min'"),
        (["--against", "all"], "give 'published'"),
        (["--against", "published"], "no published results of 'small'"),
        (["--uncertainty", "--resamples", "0"], "resamples"),
        (["--uncertainty", "--confidence", "1.5"], "confidence"),
        (["--speedup", "their"], "their"),
        (["--plot", "profiles.xyz"], "cannot draw"),
    ],
)
def test_bad_input_is_one_message_and_status_two(logs, capsys, arguments, message):
    assert main([logs, *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("algoperf-score: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_message_with_control_characters_is_spelled_out(tree, capsys, benchmark_small):
    tree.trial("mine/study_0/digits_jax/trial_1", [(10.0, "\x1b[31m")])
    (tree.root / "mine" / "benchmark.toml").write_text(benchmark_small.to_toml())
    assert main([str(tree.root)]) == 2
    assert "\x1b" not in capsys.readouterr().err


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


def test_benchmarks_are_listed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["benchmarks"]) == 0
    output = capsys.readouterr().out
    for name in ("algoperf-v0.5", "algoperf-v0.6"):
        assert load_benchmark(name).summary in output


def test_a_benchmark_is_shown_in_full_or_as_a_definition(tmp_path, capsys, definition):
    path = tmp_path / "mine.toml"
    path.write_text(definition)
    assert main(["benchmarks", str(path)]) == 0
    assert "digits_noisy" in capsys.readouterr().out
    assert main(["benchmarks", str(path), "--toml"]) == 0
    assert capsys.readouterr().out == load_benchmark(path).to_toml()


def test_a_wrong_definition_is_told(tmp_path, capsys, definition):
    path = tmp_path / "mine.toml"
    path.write_text(definition.replace("accuracy", "acuracy"))
    assert main(["benchmarks", str(path)]) == 2
    assert "workloads.digits.direction: missing" in capsys.readouterr().err


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


def test_a_reader_may_hang_up(logs):
    command = f"{sys.executable} -m algoperf_scoring {logs} --json - | head -1"
    process = subprocess.run(command, shell=True, capture_output=True, text=True)  # noqa: S602
    assert (process.stdout, process.stderr) == ("{\n", "")


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
