"""A line between the processes of one trial, over which they agree without touching their devices.

Rank 0 listens; every other rank keeps one TCP connection to it. A collective of either framework would queue
behind the training step, or make the host wait for it. What passes is numbers and JSON, nothing that could
run. A peer that ends closes its connection, and one whose machine is gone fails TCP's keepalive, so nobody
waits for the dead; the living may take as long as they need.
"""

from __future__ import annotations

import json
import secrets
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

_HEADER = struct.Struct("!cI")
_DATA, _FAILURE = b"D", b"F"
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
CONNECT_S = 120.0
MAX_GREETING = 1024
# How soon the processes that a failure takes down follow it.
SOON_S = 0.1

Combine = Callable[[Sequence[bytes]], bytes]


class ProcessLostError(Exception):
    """Another process of the trial ended without a word."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What a process says before it ends with an error.

    Args:
        rank: Its rank.
        outcome: Name of the outcome that the error makes of the trial; `bad_input` for none.
        message: The error.
        at: When, in seconds of wall-clock, to tell the first failure from those that it caused.
    """

    rank: int
    outcome: str
    message: str
    at: float


class PeerFailedError(Exception):
    """Another process of the trial ended with an error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"process {failure.rank}: {failure.message}")
        self.failure = failure


class Listener:
    """Where rank 0 waits for the others.

    Args:
        host: Name or address under which the others reach this machine.
    """

    def __init__(self, host: str) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        loopback = host == "localhost" or str(address[0]).startswith(("127.", "::1"))
        self._socket = socket.create_server((host if loopback else "", 0), family=family)
        self._token = secrets.token_hex(16)
        self.invitation = json.dumps([host, self._socket.getsockname()[1], self._token])

    def accept(self, count: int) -> HostLink:
        """Waits for the other `count - 1` processes.

        Raises:
            ProcessLostError: They did not come.
        """
        peers: dict[int, socket.socket] = {}
        deadline = time.monotonic() + CONNECT_S
        while len(peers) < count - 1:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                raise ProcessLostError(
                    f"{count - 1 - len(peers)} of {count} processes did not connect in {CONNECT_S:.0f} s"
                ) from None
            # Whatever else finds this port does not know the token.
            connection.settimeout(5.0)
            rank = self._admitted(connection)
            if rank is None:
                connection.close()
            else:
                peers[rank] = connection
        self._socket.close()
        return HostLink(0, [peers[rank] for rank in sorted(peers)])

    def _admitted(self, connection: socket.socket) -> int | None:
        try:
            kind, length = _HEADER.unpack(_receive_exactly(connection, _HEADER.size, 0))
            if kind != _DATA or length > MAX_GREETING:
                return None
            token, rank = json.loads(_receive_exactly(connection, length, 0))
        except (ProcessLostError, ValueError):
            return None
        return int(rank) if secrets.compare_digest(str(token), self._token) else None


def connect(invitation: str, rank: int) -> HostLink:
    """Joins the processes that rank 0 invited."""
    host, port, token = json.loads(invitation)
    connection = socket.create_connection((host, port), timeout=CONNECT_S)
    _send(connection, _DATA, json.dumps([token, rank]).encode())
    return HostLink(rank, [connection])


class HostLink:
    """One end of the line.

    Args:
        rank: Rank of this process.
        peers: Connections to all others, by rank; on other ranks than 0, the one to rank 0.
    """

    def __init__(self, rank: int, peers: Sequence[socket.socket]) -> None:
        self._rank = rank
        self._peers = list(peers)
        self._failures: dict[int, Failure] = {}
        for peer in self._peers:
            peer.settimeout(None)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE.items():
                if hasattr(socket, name):
                    peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def exchange(self, payload: bytes, combine: Combine) -> bytes:
        """Gives every process what rank 0 combines of the payloads of all, by rank.

        Raises:
            ProcessLostError: A process is gone.
            PeerFailedError: A process ended with an error.
        """
        if self._rank:
            _send(self._peers[0], _DATA, payload)
            return self._data(self._peers[0], 0)
        received = [self._data(peer, rank) for rank, peer in enumerate(self._peers, start=1)]
        combined = combine([payload, *received])
        for rank, peer in enumerate(self._peers, start=1):
            _send(peer, _DATA, combined, rank)
        return combined

    def report(self, failure: Failure) -> None:
        """Says to rank 0 why this process ends."""
        with suppress(ProcessLostError):
            _send(self._peers[0], _FAILURE, json.dumps(asdict(failure)).encode())

    def ended(self, wait_s: float) -> Failure | ProcessLostError | None:
        """On rank 0: why another process ended, the first of them; None if none did.

        A process that ended without a word comes before those that failed, which it may have caused.

        Args:
            wait_s: How long to wait for word of an end.
        """
        deadline = time.monotonic() + wait_s
        open_peers = {
            peer: rank
            for rank, peer in enumerate(self._peers, start=1)
            if rank not in self._failures
        }
        while open_peers and (left := deadline - time.monotonic()) > 0:
            for peer in select.select(list(open_peers), [], [], left)[0]:
                try:
                    self._data(peer, open_peers[peer])
                except ProcessLostError as lost:
                    return lost
                except PeerFailedError:
                    del open_peers[peer]
                    # What it caused elsewhere follows at once.
                    deadline = min(deadline, time.monotonic() + SOON_S)
        return min(self._failures.values(), key=lambda failure: failure.at, default=None)

    def _data(self, peer: socket.socket, rank: int) -> bytes:
        kind, payload = _receive(peer, rank)
        if kind == _FAILURE:
            self._failures[rank] = Failure(**json.loads(payload))
            raise PeerFailedError(self._failures[rank])
        return payload

    def close(self) -> None:
        """Hangs up."""
        for peer in self._peers:
            peer.close()


def _send(peer: socket.socket, kind: bytes, payload: bytes, rank: int = 0) -> None:
    try:
        peer.sendall(_HEADER.pack(kind, len(payload)) + payload)
    except OSError as error:
        raise _lost(rank) from error


def _receive(peer: socket.socket, rank: int = 0) -> tuple[bytes, bytes]:
    kind, length = _HEADER.unpack(_receive_exactly(peer, _HEADER.size, rank))
    return kind, _receive_exactly(peer, length, rank)


def _receive_exactly(peer: socket.socket, length: int, rank: int) -> bytes:
    parts = b""
    while len(parts) < length:
        try:
            part = peer.recv(length - len(parts))
        except OSError as error:
            raise _lost(rank) from error
        if not part:
            raise _lost(rank)
        parts += part
    return parts


def _lost(rank: int) -> ProcessLostError:
    return ProcessLostError(f"process {rank} of the trial is gone")
