"""Listening: uvicorn with a parser that has no patience with slow or broken heads of requests."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from initadvisor.service.app import create_app
from initadvisor.service.guard import MAX_HEAD
from initadvisor.service.problems import MEDIA_TYPE, ProblemDetails
from initadvisor.service.service import Service
from initadvisor.service.settings import ServiceSettings

_MAX_CONNECTIONS = 2000


def protocol(head_seconds: float) -> type[H11Protocol]:
    """A protocol that ends connections whose head is not complete in time, and answers nonsense with a problem."""

    class Guarded(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            if self.conn.their_state is h11.IDLE:
                # Part of a head has come, or nothing yet; the clock runs from the first look on.
                self._expect()
            else:
                self._stop_waiting()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
                self._expect()

        def _expect(self) -> None:
            if self._late is None and not self.transport.is_closing():
                self._late = self.loop.call_later(head_seconds, self._give_up)

        def _stop_waiting(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _give_up(self) -> None:
            self._late = None
            if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
                self.transport.close()

        def send_400_response(self, msg: str) -> None:
            body = ProblemDetails(title="Bad Request", status=400, detail=msg).model_dump_json(exclude_none=True)
            if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
                self.transport.close()
                return
            head = [
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            for event in (
                h11.Response(status_code=400, headers=head, reason=b"Bad Request"),
                h11.Data(data=body.encode()),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return Guarded


def server(settings: ServiceSettings) -> uvicorn.Server:
    """A server over an open service, ready to run; raises like `Service`."""
    config = uvicorn.Config(
        create_app(Service(settings)),
        host=settings.host,
        port=settings.port,
        http=protocol(settings.header_seconds),
        ws="none",
        loop="asyncio",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEAD,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
    )
    return uvicorn.Server(config)


def serve(settings: ServiceSettings) -> None:
    """Serve until a signal ends it."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    os.umask(0o077)  # uploads and reports are nobody else's, wherever the data folder lies
    running = server(settings)
    # Nothing that a request names can then be taken for a file beside the place where the server was started.
    os.chdir(settings.data_dir)
    # uvicorn raises the signal that ended it once more, when all is closed: a stop on request is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    running.run()
