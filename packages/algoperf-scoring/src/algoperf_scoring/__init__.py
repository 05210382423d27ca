"""Scores training algorithms: what a benchmark is, times to target, profiles and scores.

What only some need (analysis, tables of times, figures, report) is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from algoperf_scoring.benchmark import (
    Benchmark,
    BenchmarkWorkload,
    Ruleset,
    ScoringRules,
    available_benchmarks,
    load_benchmark,
)
from algoperf_scoring.counting import Verdict, counted_times, verdicts
from algoperf_scoring.errors import (
    AlgoperfError,
    DefinitionError,
    LogError,
    OutputError,
    RuleViolationError,
)
from algoperf_scoring.files import write_bytes_atomic, write_text_atomic
from algoperf_scoring.findings import Finding
from algoperf_scoring.leaderboard import Leaderboard, score_times
from algoperf_scoring.logs import Logs, Trial, read_benchmark, read_logs
from algoperf_scoring.names import UnknownNameError, unknown_name
from algoperf_scoring.profiles import benchmark_score, performance_profile, performance_ratios
from algoperf_scoring.sources import score_logs
from algoperf_scoring.times import TimesToTarget, median_over_studies, study_times, times_to_target
from algoperf_scoring.trial_times import (
    TrialTime,
    TrialTimes,
    read_trial_times,
    time_to_target,
)

if TYPE_CHECKING:
    from algoperf_scoring.analysis import Analysis, analyse
    from algoperf_scoring.plots import save_figures
    from algoperf_scoring.published import published_times
    from algoperf_scoring.report import write_report
    from algoperf_scoring.time_tables import read_times, write_long_table

__version__ = "0.3.0"

__all__ = [
    "AlgoperfError",
    "Analysis",
    "Benchmark",
    "BenchmarkWorkload",
    "DefinitionError",
    "Finding",
    "Leaderboard",
    "LogError",
    "Logs",
    "OutputError",
    "RuleViolationError",
    "Ruleset",
    "ScoringRules",
    "TimesToTarget",
    "Trial",
    "TrialTime",
    "TrialTimes",
    "UnknownNameError",
    "Verdict",
    "analyse",
    "available_benchmarks",
    "benchmark_score",
    "counted_times",
    "load_benchmark",
    "median_over_studies",
    "performance_profile",
    "performance_ratios",
    "published_times",
    "read_benchmark",
    "read_logs",
    "read_times",
    "read_trial_times",
    "save_figures",
    "score_logs",
    "score_times",
    "study_times",
    "time_to_target",
    "times_to_target",
    "unknown_name",
    "verdicts",
    "write_bytes_atomic",
    "write_long_table",
    "write_report",
    "write_text_atomic",
]

_LATER = {
    "Analysis": "analysis",
    "analyse": "analysis",
    "published_times": "published",
    "read_times": "time_tables",
    "save_figures": "plots",
    "write_long_table": "time_tables",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
