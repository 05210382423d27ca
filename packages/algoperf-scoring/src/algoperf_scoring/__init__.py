"""Scores training algorithms: what a benchmark is, times to target, profiles and scores."""

from algoperf_scoring.benchmark import (
    Benchmark,
    BenchmarkWorkload,
    Ruleset,
    ScoringRules,
    available_benchmarks,
    load_benchmark,
)
from algoperf_scoring.errors import AlgoperfError, DefinitionError, LogError, OutputError
from algoperf_scoring.files import write_bytes_atomic, write_text_atomic
from algoperf_scoring.leaderboard import Leaderboard, score_logs
from algoperf_scoring.logs import Logs, Trial, read_benchmark, read_logs
from algoperf_scoring.names import UnknownNameError, unknown_name
from algoperf_scoring.profiles import benchmark_score, performance_profile, performance_ratios
from algoperf_scoring.times import (
    TimesToTarget,
    median_over_studies,
    study_time,
    time_to_target,
    times_to_target,
)

__version__ = "0.1.0"

__all__ = [
    "AlgoperfError",
    "Benchmark",
    "BenchmarkWorkload",
    "DefinitionError",
    "Leaderboard",
    "LogError",
    "Logs",
    "OutputError",
    "Ruleset",
    "ScoringRules",
    "TimesToTarget",
    "Trial",
    "UnknownNameError",
    "available_benchmarks",
    "benchmark_score",
    "load_benchmark",
    "median_over_studies",
    "performance_profile",
    "performance_ratios",
    "read_benchmark",
    "read_logs",
    "score_logs",
    "study_time",
    "time_to_target",
    "times_to_target",
    "unknown_name",
    "write_bytes_atomic",
    "write_text_atomic",
]
