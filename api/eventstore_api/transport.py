"""How a response is written: one system call for its head and its body."""

from __future__ import annotations

import asyncio
from typing import Any


class OneWrite:
    """A transport that sends a response's head and body with one system call instead of two.

    uvicorn writes the head, then the body. The head is held until the body comes, or until the
    event loop's next turn if it does not (a stream whose first chunk takes time).
    """

    __slots__ = ("_handle", "_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._handle: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        """Hold a first piece of data; send it with the next one."""
        if self._handle is None:
            self._head = data
            self._handle = self._loop.call_soon(self._send_head)
        else:
            self._handle.cancel()
            self._handle = None
            self._transport.write(self._head + data)

    def close(self) -> None:
        """Send what is held, then close."""
        if self._handle is not None:
            self._handle.cancel()
            self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        self._handle = None
        if not self._transport.is_closing():  # the client may have gone since
            self._transport.write(self._head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
