"""The whole command, imports included, side by side with a program that only reads the files.

Run with: pytest packages/algoperf-scoring/benchmarks --benchmark-group-by=group
Processor time and peak memory of each process are in `extra_info` of the JSON
(--benchmark-json=FILE), and are printed with -s.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

READ = """
import os, sys
total = 0
for folder, _, files in os.walk(sys.argv[1]):
    for name in files:
        with open(os.path.join(folder, name), "rb") as file:
            total += len(file.read())
assert total
"""
SCORE = "import sys; from algoperf_scoring.cli import main; sys.exit(main(sys.argv[1:]))"
# Linux tells the peak of the program that runs now; that of the process includes its parent's.
PEAK = """
import atexit, sys
def peak():
    with open("/proc/self/status") as status:
        sys.stderr.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
atexit.register(peak)
"""
PROGRAMS = {"read the bytes": (READ,), "score": (SCORE, "--quiet-notes", "--benchmark")}


def run(code: str, *arguments: str) -> tuple[float, float]:
    """Runs Python on a program; returns processor time in seconds and peak memory in MiB."""
    command = [sys.executable, "-c", PEAK + code, *arguments]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    # As installed, with compiled modules.
    settings = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    with subprocess.Popen(command, text=True, env=settings, **pipes) as process:
        peak_kib = int(process.stderr.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime, peak_kib / 1024


def measure(benchmark, *arguments: str, rounds: int = 5) -> None:
    used = []
    benchmark.pedantic(lambda: used.append(run(*arguments)), rounds=rounds, warmup_rounds=1)
    cpu_s, peak_mib = (sorted(values)[len(values) // 2] for values in zip(*used, strict=True))
    benchmark.extra_info.update(cpu_s=round(cpu_s, 3), peak_mib=round(peak_mib, 1))
    sys.stdout.write(f"\n{benchmark.name}: {cpu_s:.3f} s CPU, {peak_mib:.1f} MiB\n")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("version", ["v05", "v06"])
def test_published_logs(benchmark, published_logs, version: str, program: str):
    benchmark.group = f"published logs {version}, whole process"
    code, *options = PROGRAMS[program]
    name = {"v05": "algoperf-v0.5", "v06": "algoperf-v0.6"}[version]
    arguments = [code, str(published_logs(version)), *options, *([name] if options else [])]
    measure(benchmark, *arguments)


@pytest.mark.parametrize("module", ["numpy", "algoperf_scoring"])
def test_import(benchmark, module: str):
    benchmark.group = "import, whole process"
    measure(benchmark, f"import {module}", rounds=20)


@pytest.mark.parametrize("submissions", [25, 50, 100, 200])
def test_many_submissions(benchmark, synthetic_logs, submissions: int):
    """Time grows with the number of files: 40 of each submission, of 60 evaluations."""
    benchmark.group = "synthetic submissions, whole process"
    root: Path = synthetic_logs(submissions)
    measure(benchmark, SCORE, str(root), "--quiet-notes", "--benchmark", "algoperf-v0.6", rounds=3)
