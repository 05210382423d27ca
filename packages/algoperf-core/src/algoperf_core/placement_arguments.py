"""The options of a trial process that say where it stands among several JAX processes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from algoperf_core.errors import CampaignError
from algoperf_core.processes import Placement

# Where launchers say a process's rank, before a framework has started.
_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")


def add_placement_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    group = parser.add_argument_group("several JAX processes", "PyTorch goes by torchrun instead")
    group.add_argument("--coordinator", metavar="HOST:PORT", help="a free port on rank 0's machine")
    group.add_argument("--processes", type=int, metavar="N", help="number of processes")
    group.add_argument(
        "--process-id", type=int, metavar="I", help="rank of this one, from 0 to N - 1"
    )
    group.add_argument(
        "--cluster",
        action="store_true",
        help="let JAX find the three of them (Slurm, Open MPI, TPU pods)",
    )


def placement_of(options: argparse.Namespace) -> Placement | None:
    """What the options say; None if they say nothing.

    Raises:
        CampaignError: They do not fit together.
    """
    given = (options.coordinator, options.processes, options.process_id)
    if options.cluster:
        if any(value is not None for value in given):
            raise CampaignError("--cluster finds the others itself: leave them out")
        return Placement(cluster=True)
    if all(value is None for value in given):
        return None
    if any(value is None for value in given):
        raise CampaignError("--coordinator, --processes and --process-id go together")
    if not 0 <= options.process_id < options.processes:
        raise CampaignError(
            f"--process-id is {options.process_id}; allowed are 0 to {options.processes - 1}"
        )
    return Placement(
        rank=options.process_id, count=options.processes, coordinator=options.coordinator
    )


def rank_of(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """The rank of this process as far as its launcher said it; 0 for a process that is alone."""
    if options.process_id is not None:
        return int(options.process_id)
    if not (options.cluster or "LOCAL_RANK" in environment):
        return 0
    said = [environment[name] for name in _RANKS if name in environment]
    return int(said[0]) if said and said[0].isdigit() else 0
