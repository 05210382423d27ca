"""What each framework can compute on, looked at in a process of its own: a broken installation may crash."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from algoperf_core.doctor.findings import Finding, ok, problem, warning

TIMEOUT_S = 120.0

_JAX = """
import json, jax
from importlib.metadata import distributions
plugins = [d.metadata["Name"] for d in distributions() if (d.metadata["Name"] or "").startswith("jax-")]
devices = jax.devices()
result = float((jax.numpy.ones((8, 8)) @ jax.numpy.ones((8, 8)))[0, 0])
kinds = sorted({device.device_kind for device in devices})
print("\\n" + json.dumps({"version": jax.__version__, "backend": jax.default_backend(),
    "count": len(devices), "kinds": [k for k in kinds if k != "cpu"], "result": result,
    "built_for": next((p for p in sorted(plugins) if p.endswith("-plugin")), None)}))
"""
_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
device = "cuda" if cuda else "cpu"
result = float((torch.ones(8, 8, device=device) @ torch.ones(8, 8, device=device))[0, 0])
kinds = sorted({torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())})
print("\\n" + json.dumps({"version": torch.__version__, "backend": device,
    "count": torch.cuda.device_count() if cuda else 1, "kinds": kinds, "result": result,
    "built_for": torch.version.cuda and "CUDA " + torch.version.cuda}))
"""
_INSTALL = {
    "jax": 'pip install "algoperf-core[jax]"',
    "torch": 'pip install "algoperf-core[torch]"',
}
_CUDA_BUILD = {
    "jax": 'install the plugin: pip install "jax[cuda12]"',
    "torch": "install the CUDA build of PyTorch: see https://pytorch.org/get-started",
}

Run = Callable[[str], subprocess.CompletedProcess[str]]


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a new interpreter, with a time limit."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def check_frameworks(
    run: Run = run_code, gpus: Callable[[], list[str]] | None = None
) -> list[Finding]:
    """Whether each framework imports, computes, and uses the accelerators that the machine has.

    Args:
        run: Runs code in another process.
        gpus: Names the graphics cards that the machine has; None asks the driver.
    """
    from importlib.util import find_spec

    present = (gpus or visible_gpus)()
    there = {name: find_spec(name) is not None for name in ("jax", "torch")}
    if not any(there.values()):
        remedy = f"{_INSTALL['jax']}, or {_INSTALL['torch']}"
        return [problem("frameworks", "neither JAX nor PyTorch is installed", remedy)]
    findings = [] if not present else [ok("accelerators", f"the driver lists {', '.join(present)}")]
    for name, code in (("jax", _JAX), ("torch", _TORCH)):
        if there[name]:
            findings += check_framework(name, code, run, present)
        else:
            findings.append(ok(name, f"not installed; {_INSTALL[name]} adds it"))
    return findings


def visible_gpus() -> list[str]:
    """Names of NVIDIA cards, from the driver's own tool; device files where there is no such tool."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        try:
            listed = subprocess.run(
                [tool, "--query-gpu=name", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=30.0,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            listed = None
        if listed is not None and listed.returncode == 0:
            return [line.strip() for line in listed.stdout.splitlines() if line.strip()]
    return [path.name for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]


def check_framework(name: str, code: str, run: Run, gpus: list[str]) -> Iterator[Finding]:
    """Findings on one framework."""
    reinstall = f"reinstall it: {_INSTALL[name].replace('install', 'install --force-reinstall')}"
    try:
        ended = run(code)
    except subprocess.TimeoutExpired:
        what = f"does not come up within {TIMEOUT_S:g} s"
        yield problem(
            name, what, "another process may hold the accelerator: see nvidia-smi, then try again"
        )
        return
    found = _last_json(ended.stdout)
    if ended.returncode < 0:
        yield problem(name, f"crashes (signal {-ended.returncode}) when it computes", reinstall)
    elif found is None:
        yield problem(name, f"cannot be used: {_last_line(ended.stderr)}", reinstall)
    elif found["result"] != 8.0:
        yield problem(name, f"computes wrong numbers: {found['result']} for 8.0", reinstall)
    else:
        yield _devices(name, found, gpus, ended.stderr)


def _devices(name: str, found: dict[str, Any], gpus: list[str], errors: str) -> Finding:
    kinds = f" ({', '.join(found['kinds'])})" if found["kinds"] else ""
    what = f"{found['version']} on {found['count']} x {found['backend']}{kinds}"
    built_for = found["built_for"]
    if found["backend"] != "cpu" or not (gpus or built_for):
        return ok(name, what)
    if not gpus:
        return warning(
            name,
            f"{what}: built for {built_for}, and no graphics card is visible",
            "if there is a card, see whether nvidia-smi lists it and CUDA_VISIBLE_DEVICES hides it",
        )
    cards = f"the machine has {', '.join(gpus)}"
    if built_for is None:
        return problem(name, f"{what}: a build without CUDA, though {cards}", _CUDA_BUILD[name])
    return problem(
        name,
        f"{what}: no card is used, though {cards}: {_last_line(errors)}",
        "update the driver, and unset CUDA_VISIBLE_DEVICES and JAX_PLATFORMS",
    )


def _last_json(text: str) -> dict[str, Any] | None:
    lines = text.strip().splitlines()
    try:
        data = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return data if isinstance(data, dict) and "result" in data else None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
