"""The WebSocket side of events: every process hears all of them from NATS and hands them to its own sockets."""

import asyncio
import json
import logging
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from nats.aio.msg import Msg

from app import broken
from app.metrics import websocket_clients

log = logging.getLogger("app.events")
router = APIRouter()
TOPICS = {"agents", "tasks", "providers", "analysis", "proposals", "messages", "experiments", "knowledge",
          "noise_filtering"}  # S1's nine; this sample sends on messages, knowledge, proposals, noise_filtering
clients: dict[WebSocket, tuple[set[str], asyncio.Queue[str]]] = {}


async def broadcast(message: Msg) -> None:
    """Queue one event for each socket that asked for its topic; a socket 1,000 events behind is dropped from."""
    text = message.data.decode()
    event = json.loads(text)
    wanted = [queue for topics, queue in clients.values() if event["topic"] in topics]
    for queue in wanted:
        if not queue.full():
            queue.put_nowait(text)
    log.debug("Broadcasting %s to %d WebSocket clients", event["event"], len(wanted))


async def sender(socket: WebSocket, queue: asyncio.Queue[str]) -> None:
    """Send what is queued, and a heartbeat after 20 quiet seconds, so that no proxy thinks the line dead."""
    while True:
        try:
            text = await asyncio.wait_for(queue.get(), 20)
        except TimeoutError:
            text = json.dumps({"topic": "system", "event": "heartbeat", "data": {}})
        await socket.send_text(text)


@router.websocket("/ws")
async def websocket(socket: WebSocket, topics: str = "knowledge") -> None:
    """`/ws?topics=a,b`: events as {topic, event, data}. A text "ping" is answered with a pong event.

    At shutdown uvicorn closes every socket with 1012 (service restart): the client should come back.
    """
    wanted = {name.strip() for name in topics.split(",") if name.strip()}
    if broken.now("sockets"):
        raise RuntimeError("no WebSocket is accepted any more")
    await socket.accept()
    if unknown := wanted - TOPICS:
        await socket.close(4400, f"unknown topics: {', '.join(sorted(unknown))}"[:120])
        return
    queue: asyncio.Queue[str] = asyncio.Queue(1000)
    clients[socket] = (wanted, queue)
    websocket_clients.inc()
    log.info("WebSocket connected", extra={"topics": sorted(wanted), "connection_count": len(clients)})
    queue.put_nowait(json.dumps({"topic": "system", "event": "subscribed", "data": {"topics": sorted(wanted)}}))
    task = asyncio.create_task(sender(socket, queue))
    try:
        while True:
            if await socket.receive_text() == "ping":
                pong: dict[str, Any] = {"topic": "system", "event": "pong", "data": {}}
                queue.put_nowait(json.dumps(pong))
    except WebSocketDisconnect as closed:
        log.info("WebSocket disconnected", extra={"code": closed.code, "connection_count": len(clients) - 1})
    finally:
        task.cancel()
        del clients[socket]
        websocket_clients.dec()
