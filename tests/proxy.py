"""A TCP proxy with faults to order: what a network may do to one of the next exchanges.

    with Proxy(sandbox.url) as proxy:
        proxy.order(NetworkFault(Kind.RESET, toward="client", on=b"POST /v1/refunds"))
        client = httpx.Client(base_url=proxy.url)

It runs in a thread of its own, and takes only what it is told: bytes, not HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"
CHUNK = 65_536
AT_ONCE_AND_HARD = struct.pack("ii", 1, 0)
"""Linger for no time: closing sends RST (socket(7), SO_LINGER)."""


class Kind(StrEnum):
    """List what can go wrong."""

    LATENCY = "latency"  # every piece comes `seconds` later
    RESET = "reset"  # both ends get a RST
    HALF_OPEN = "half_open"  # nothing more comes, and nothing says so
    TRUNCATED = "truncated"  # both ends get an orderly end, in the middle


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """Say what befalls the exchange that a client begins with the bytes `on`: once `after` bytes went `toward` one of the ends."""

    kind: Kind
    toward: Literal["server", "client"] = "client"
    after: int = 0
    seconds: float = 0
    on: bytes = b""


@dataclass
class _Line:
    """One connection, from the client to the server and back."""

    ends: dict[str, asyncio.StreamWriter]
    fault: NetworkFault | None = None
    passed: int = 0

    def break_(self) -> None:
        for end in self.ends.values():
            end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE_AND_HARD)
            end.transport.abort()


class Proxy:
    """Stand before the server at `url` while the `with` block lasts; `heard` is how each piece from a client began."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._server_at = at.hostname or HOST, at.port or 80
        self._orders: list[NetworkFault] = []
        self.met: list[NetworkFault] = []
        self.heard: list[bytes] = []
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Give the address to go to instead of the server's."""
        return f"http://{HOST}:{self._port}"

    @property
    def outstanding(self) -> int:
        """Count the faults that were ordered and have not been met."""
        return len(self._orders)

    def order(self, fault: NetworkFault, *, times: int = 1) -> None:
        """Let the next `times` exchanges that begin as it says meet this fault: the last of their connection, or the first slow one."""
        self._orders += [fault] * times

    def refuse(self) -> None:
        """Take no more connections."""
        self._do(self._deafen())

    def down(self) -> None:
        """Take no more connections, and break those that there are."""
        self._do(self._stop())

    def up(self) -> None:
        """Take connections, at the same address as before."""
        self._do(self._listen())

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, HOST, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _deafen(self) -> None:
        self._server.close()

    async def _stop(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line({"client": writer})
        pumps: set[asyncio.Task[None]] = set()
        try:
            answers, line.ends["server"] = await asyncio.open_connection(*self._server_at)
            pumps = {asyncio.ensure_future(self._pump(line, *one)) for one in ((reader, "server"), (answers, "client"))}
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for end in line.ends.values():
                end.close()
        except OSError:
            line.break_()
        except asyncio.CancelledError:
            line.break_()
            raise
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, line: _Line, reader: asyncio.StreamReader, toward: Literal["server", "client"]) -> None:
        """Carry what comes toward one end, until there is no more, or the fault is met."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if toward == "server":
                    self.heard.append(data[:64])
                if toward == "server" and (line.fault is None or line.fault.kind is Kind.LATENCY):
                    line.fault = self._take(data) or line.fault
                fault = line.fault if line.fault and line.fault.toward == toward else None
                if fault and fault.kind is Kind.LATENCY:
                    await asyncio.sleep(fault.seconds)
                elif fault:
                    data = data[: max(fault.after - line.passed, 0)]
                    line.passed += len(data)
                line.ends[toward].write(data)
                await line.ends[toward].drain()
                if fault and fault.kind is not Kind.LATENCY and line.passed >= fault.after and not await self._meets(line, fault):
                    return

    async def _meets(self, line: _Line, fault: NetworkFault) -> bool:
        """Let the fault happen; says whether anything is carried on."""
        if fault.kind is Kind.RESET:
            line.break_()
        elif fault.kind is Kind.HALF_OPEN:
            await asyncio.Event().wait()  # until the proxy goes down, or the other direction ends
        return False

    def _take(self, data: bytes) -> NetworkFault | None:
        for place, fault in enumerate(self._orders):
            if data.startswith(fault.on):
                self.met.append(fault)
                return self._orders.pop(place)
        return None
