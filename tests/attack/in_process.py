"""An HTTP client of an ASGI application in this process, with the application's start and stop, so that a test may set its clock."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import httpx

from tacit.app import Endpoint


class InProcess:
    """The application, started; `close` stops it."""

    def __init__(self, app: Endpoint) -> None:
        self._loop = asyncio.new_event_loop()
        self._heard: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._told: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._life = self._loop.create_task(self._live(app))
        self._tell("lifespan.startup")
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://tacit.test")

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._loop.run_until_complete(self._client.request(method, path, **more))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._tell("lifespan.shutdown")
        self._loop.run_until_complete(self._life)
        self._loop.close()

    async def _live(self, app: Endpoint) -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, self._told.get, self._heard.put)

    def _tell(self, message: str) -> None:
        self._told.put_nowait({"type": message})
        answer = self._loop.run_until_complete(self._heard.get())
        if answer["type"] != f"{message}.complete":
            raise AssertionError(answer)
