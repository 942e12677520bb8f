"""NATS: the JetStream queue of the worker, and the events between processes; it waits for ever for its server."""

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig
from taskiq import AckableMessage, AsyncBroker
from taskiq_nats import PullBasedJetStreamBroker

from app.config import settings

log = logging.getLogger("app.broker")
ALIVE = Path("/tmp/alive")  # touched while NATS answers; what the health checks of worker and scheduler look at


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """End at once when told to; taskiq's own handler would first wait for the start, that is for NATS."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    kept = {number: signal.signal(number, lambda *_: os._exit(0)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class Broker(PullBasedJetStreamBroker):
    """taskiq's JetStream broker, made to outlive restarts and late starts of NATS."""

    async def startup(self) -> None:
        """Connect and set up stream and consumer, however long that takes."""
        await AsyncBroker.startup(self)
        with stoppable() if self.is_worker_process else contextlib.nullcontext():
            await self.client.connect(self.servers, **self.connection_kwargs)
            self.js = self.client.jetstream()
            while not await self._set_up():
                await asyncio.sleep(2)

    async def _set_up(self) -> bool:
        try:
            self.stream_config.subjects = [self.subject]
            await self._add_or_reuse_stream()
            await self._startup_consumer()
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("JetStream is not ready: %s", error or type(error).__name__)
            return False
        return True

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield messages; a lost consumer (NATS restarted with an empty volume) is made anew.

        A job that this release does not know (it was queued by a newer one) goes back to the queue for a release
        that does: taskiq would acknowledge it, and so drop it.
        """
        while True:
            try:
                for message in await self.consumer.fetch(batch=1, timeout=5):
                    name = json.loads(message.data)["task_name"]
                    if self.find_task(name):
                        yield AckableMessage(data=message.data, ack=message.ack)
                    else:
                        log.warning("job %s is not known in release %s, left in the queue", name, settings.RELEASE)
                        await message.nak(delay=30)
            except NatsTimeoutError:
                continue
            except (NatsError, TimeoutError, OSError) as error:
                log.warning("cannot fetch jobs: %s", error or type(error).__name__)
                await asyncio.sleep(2)
                if self.client.is_connected:
                    await self._set_up()

    async def round_trip(self) -> bool:
        """Whether NATS answers now (a ping there and back within 1 s), not just what was last believed."""
        if not self.client.is_connected:
            return False
        with contextlib.suppress(NatsError, TimeoutError, OSError):
            await self.client.flush(timeout=1)
            return True
        return False

    async def publish(self, topic: str, event: str, data: dict[str, Any]) -> None:
        """Tell every api process, on every slot and host. A lost event is logged and never fails the caller."""
        payload = json.dumps({"topic": topic, "event": event, "data": data}, default=str).encode()
        try:
            if not self.client.is_connected:
                raise ConnectionError("not connected")
            await self.client.publish(f"events.{topic}", payload)
        except (NatsError, OSError) as error:
            log.warning("event %s.%s lost: %s", topic, event, error)


async def heartbeat(nats: Broker) -> None:
    """Touch ALIVE every 5 s, but only while NATS answers: an old file means stuck, gone or cut off."""
    while True:
        if answers := await nats.round_trip():
            ALIVE.touch()
        await asyncio.sleep(5 if answers else 1)


async def nats_error(error: Exception) -> None:
    """One line per failed try, not a trace each."""
    log.warning("NATS: %s", error or type(error).__name__)


def make_broker() -> Broker:
    """A job is given out again when it was not acknowledged in 5 minutes."""
    return Broker(
        servers=settings.NATS_URL, subject="tasktracker.jobs", stream_name="tasktracker", durable="worker",
        stream_config=StreamConfig(name="tasktracker", retention=RetentionPolicy.WORK_QUEUE),
        consumer_config=ConsumerConfig(durable_name="worker", ack_wait=300, max_deliver=-1),
        name=f"tasktracker-{settings.DEPLOYMENT_SLOT}", max_reconnect_attempts=-1, reconnect_time_wait=2,
        connect_timeout=3, ping_interval=5, max_outstanding_pings=2, error_cb=nats_error,
    )
