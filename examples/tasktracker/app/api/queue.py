"""Handing jobs to the worker from a request."""

from typing import Any

from fastapi import HTTPException

from app.tasks import broker


async def enqueue(task: Any, *args: Any, **kwargs: Any) -> str:
    """Queue one job and give its id; 503 at once when the queue cannot take it, and then a repeat is safe."""
    try:
        if not broker.client.is_connected:
            raise ConnectionError("not connected to NATS")
        return (await task.kiq(*args, **kwargs)).task_id
    except Exception as error:
        reason = f"the queue does not answer ({type(error).__name__}); send it again"
        raise HTTPException(503, reason, {"Retry-After": "5"}) from None
