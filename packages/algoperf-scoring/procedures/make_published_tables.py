"""Makes a table of published times out of published logs.

    python packages/algoperf-scoring/procedures/make_published_tables.py LOGS BENCHMARK OUT

LOGS is the folder of submissions of one ruleset, BENCHMARK the name of their benchmark, OUT the CSV
file to write, ``src/algoperf_scoring/published/<benchmark>-<ruleset>.csv``. The same logs give the
same bytes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from algoperf_scoring.benchmark import load_benchmark
from algoperf_scoring.logs import read_logs
from algoperf_scoring.time_tables import write_long_table
from algoperf_scoring.trial_times import read_trial_times


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the logs and writes the table."""
    parser = argparse.ArgumentParser(description="Make a table of published times from logs.")
    parser.add_argument("logs", type=Path, help="folder of submissions")
    parser.add_argument("benchmark", help="name of the benchmark they ran under")
    parser.add_argument("out", type=Path, help="the CSV file to write")
    options = parser.parse_args(arguments)
    benchmark = load_benchmark(options.benchmark)
    write_long_table(read_trial_times(read_logs(options.logs, benchmark), benchmark), options.out)


if __name__ == "__main__":
    main()
