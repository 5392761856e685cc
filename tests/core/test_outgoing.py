"""One posted message takes a bounded time, whatever the receiver does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tacit.core import outgoing

SECRET = "whsec_" + "A" * 32


@pytest.fixture
def dripping() -> Iterator[str]:
    """A receiver that sends one byte of an endless header every tenth of a second."""
    server, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            while not stop.wait(0.1):
                try:
                    connection.send(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    stop.set()
    thread.join()
    server.close()


def test_a_receiver_that_drips_bytes_is_left(dripping: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT_SECONDS", 0.6)
    assert outgoing.post(dripping, SECRET, "msg_1", b"{}", at_seconds=1) == "timeout"


def test_nobody_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert outgoing.post(f"http://127.0.0.1:{port}/", SECRET, "msg_1", b"{}", at_seconds=1) == "no_connection"
