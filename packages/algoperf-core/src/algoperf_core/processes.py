"""The processes that train one trial together: which one this is, and how they agree.

PyTorch takes its place from `torchrun`'s environment, JAX from `--coordinator` or from the cluster. Rank 0
alone writes; all take the same decisions, because whatever decides is agreed on first (the largest counts).
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, TypeVar

from algoperf_core.errors import CampaignError
from algoperf_core.host_link import (
    Failure,
    HostLink,
    Listener,
    PeerFailedError,
    ProcessLostError,
    connect,
)
from algoperf_core.spec import Framework
from algoperf_scoring import AlgoperfError

T = TypeVar("T")

BAD_INPUT = "bad_input"
# How long to look for the end of another process that may be the cause of an error here.
CAUSE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a process stands, before its framework knows.

    Args:
        rank: Number of the process, from 0.
        count: Number of processes.
        local_rank: Number of the process on its machine.
        coordinator: `HOST:PORT` of rank 0; in PyTorch the host is `MASTER_ADDR`.
        cluster: Whether JAX shall find all of this out from the cluster it runs on.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    coordinator: str | None = None
    cluster: bool = False

    @property
    def host(self) -> str:
        """Name or address of rank 0's machine, as the others reach it."""
        if self.coordinator is None:
            return socket.gethostbyname(socket.gethostname())
        return self.coordinator.rpartition(":")[0].strip("[]")


def torchrun_placement(environment: Mapping[str, str]) -> Placement | None:
    """What `torchrun` says of this process; None where it was not started so."""
    if "LOCAL_RANK" not in environment:
        return None
    try:
        return Placement(
            rank=int(environment["RANK"]),
            count=int(environment["WORLD_SIZE"]),
            local_rank=int(environment["LOCAL_RANK"]),
            coordinator=f"{environment['MASTER_ADDR']}:{environment['MASTER_PORT']}",
        )
    except (KeyError, ValueError) as error:
        raise CampaignError(
            f"LOCAL_RANK is set, but torchrun's other variables are not as they should be: {error}; start "
            "the trial with torchrun, or unset LOCAL_RANK"
        ) from None


class Runtime(Protocol):
    """A framework's part in running several processes."""

    def place(self) -> Placement:
        """Where this process stands, now that the framework knows."""
        ...

    def share(self, payload: bytes) -> bytes:
        """Gives all processes the payload of rank 0, which is as long on each."""
        ...

    def separate_generators(self, seed: int) -> None:
        """Seeds global generators anew, so that this process draws other numbers than rank 0."""
        ...

    def stop(self) -> None:
        """Ends it, when all have come to the end."""
        ...


class Processes:
    """All processes of a trial, seen from one.

    Args:
        placement: Where this one stands.
        link: The line to the others; None for a process that is alone.
        runtime: The framework's part; None for a process that is alone.
    """

    def __init__(
        self,
        placement: Placement | None = None,
        link: HostLink | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self._placement = placement or Placement()
        self.rank, self.count = self._placement.rank, self._placement.count
        self._link = link
        self._runtime = runtime

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def agree(self, numbers: Sequence[float]) -> tuple[float, ...]:
        """The largest of each number over all processes, in float64; waits for all."""
        if self._link is None:
            return tuple(numbers)
        packing = struct.Struct(f"!{len(numbers)}d")

        def largest(payloads: Sequence[bytes]) -> bytes:
            return packing.pack(*map(max, zip(*map(packing.unpack, payloads), strict=True)))

        return packing.unpack(self._link.exchange(packing.pack(*numbers), largest))

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in one of the processes; waits for all."""
        return flag if self._link is None else bool(self.agree([float(flag)])[0])

    def barrier(self) -> None:
        """Waits for all processes."""
        if self._link is not None:
            self._link.exchange(b"", lambda payloads: b"")

    def first(self, make: Callable[[], T]) -> T:
        """What `make` gives on rank 0, on every rank; JSON only, and lists in place of tuples."""
        if self._link is None:
            return make()
        payload = json.dumps(make()).encode() if self.rank == 0 else b""
        made: T = json.loads(self._link.exchange(payload, lambda payloads: payloads[0]))
        return made

    def in_turns(self, make: Callable[[], T]) -> T:
        """Calls `make` on rank 0, then on one process of each machine, then on the rest.

        So what one of them prepares on disk is there for the others.
        """
        if self._link is None:
            return make()
        mine = 0 if self.rank == 0 else 1 if self._placement.local_rank == 0 else 2
        for turn in range(3):
            if turn == mine:
                made = make()
            self.barrier()
        return made

    def separate_generators(self, seed: int) -> None:
        """On other ranks than 0, seeds global generators anew: dropout differs between processes."""
        if self._runtime is not None and self.rank:
            self._runtime.separate_generators(seed)

    @contextmanager
    def sharing_failures(self, outcome: Callable[[BaseException], str]) -> Iterator[None]:
        """Makes an error in one process known to rank 0, as what it is.

        On rank 0, an error that another process caused is raised as `PeerFailedError` or
        `ProcessLostError` instead, or as an `AlgoperfError` if it was one.

        Args:
            outcome: Names the outcome that an error makes of the trial.
        """
        if self._link is None:
            yield
            return
        try:
            yield
        except ProcessLostError:
            raise
        except BaseException as error:
            if self.rank:
                self._link.report(self._failure(error, outcome(error)))
                raise
            self._raise_cause(error)

    def _failure(self, error: BaseException, outcome: str) -> Failure:
        message = str(error) if outcome == BAD_INPUT else f"{type(error).__name__}: {error}"
        return Failure(rank=self.rank, outcome=outcome, message=message, at=time.time())

    def _raise_cause(self, error: BaseException) -> None:
        cause = None
        # Frameworks report a lost connection as a RuntimeError, and some as an OSError.
        if isinstance(error, PeerFailedError | RuntimeError | OSError) and self._link is not None:
            cause = self._link.ended(CAUSE_S)
        if isinstance(cause, ProcessLostError):
            raise cause from error
        if cause is None:
            raise error
        if cause.outcome == BAD_INPUT:
            raise AlgoperfError(cause.message) from error
        raise PeerFailedError(cause) from error

    def stop(self) -> None:
        """Ends the framework's part and hangs up; for all at the end of a trial."""
        if self._link is not None:
            self.barrier()
            self._link.close()
        if self._runtime is not None:
            self._runtime.stop()


ALONE = Processes()


def start_processes(
    framework: Framework, placement: Placement | None, wanted: int = 1
) -> Processes:
    """Starts the framework's part and the line between the processes.

    Args:
        framework: The framework.
        placement: What was said on the command line; None for nothing. PyTorch goes by `torchrun`.
        wanted: Number of processes that the trial is specified for.

    Raises:
        CampaignError: There are more or fewer processes than the trial is specified for.
    """
    if framework == "pytorch":
        if placement is not None:
            raise CampaignError(
                "a PyTorch trial takes its place from torchrun; leave out --coordinator and --cluster"
            )
        placement = torchrun_placement(os.environ)
    if placement is None or not placement.cluster:
        _check_count(placement.count if placement else 1, wanted)
    if placement is None:
        return ALONE
    runtime: Runtime = _start_runtime(framework, placement)
    placement = runtime.place()
    _check_count(placement.count, wanted)
    return Processes(placement, _link(placement, runtime), runtime)


def _check_count(count: int, wanted: int) -> None:
    if count != wanted:
        raise CampaignError(
            f"the trial is specified for {wanted} processes, but {count} were started: numbers depend on "
            "it; start as many, or begin other runs with --processes"
        )


def _start_runtime(framework: Framework, placement: Placement) -> Any:
    module, attribute = {
        "jax": ("algoperf_core.jax_processes", "JaxRuntime"),
        "pytorch": ("algoperf_core.torch_processes", "TorchRuntime"),
    }[framework]
    return getattr(import_module(module), attribute)(placement)


def _link(placement: Placement, runtime: Runtime) -> HostLink | None:
    if placement.count == 1:
        return None
    listener = Listener(placement.host) if placement.rank == 0 else None
    invitation = listener.invitation if listener else ""
    shared = runtime.share(invitation.encode().ljust(512)).decode().strip()
    if listener is not None:
        return listener.accept(placement.count)
    return connect(shared, placement.rank)
