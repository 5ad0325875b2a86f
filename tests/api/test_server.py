"""One write a response: what the transport under uvicorn's protocol sends, and when."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from eventstore_api.transport import OneWrite


class _Transport:
    """Notes what is written and closed."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def _pair() -> tuple[_Transport, Any]:
    transport = _Transport()
    return transport, OneWrite(cast("asyncio.Transport", transport))


async def _next_turn() -> None:
    turn = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turn.set_result, None)
    await turn


async def test_head_and_body_are_sent_together() -> None:
    transport, one_write = _pair()

    one_write.write(b"head")
    assert transport.written == []
    one_write.write(b"body")

    assert transport.written == [b"headbody"]
    await _next_turn()
    assert transport.written == [b"headbody"]


async def test_a_head_whose_body_takes_time_is_sent_in_the_next_turn() -> None:
    transport, one_write = _pair()

    one_write.write(b"head")
    await _next_turn()
    assert transport.written == [b"head"]
    one_write.write(b"body")
    await _next_turn()

    assert transport.written == [b"head", b"body"]


async def test_closing_sends_what_is_held_first() -> None:
    transport, one_write = _pair()

    one_write.write(b"head")
    one_write.close()
    await _next_turn()

    assert transport.written == [b"head"]
    assert one_write.is_closing()


async def test_a_head_is_not_sent_to_a_client_that_has_gone() -> None:
    transport, one_write = _pair()
    faults: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))

    one_write.write(b"head")
    transport.close()
    await _next_turn()

    loop.set_exception_handler(None)
    assert faults == []
