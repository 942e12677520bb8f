"""Two endpoints that only tests want: one that takes its time, one that takes a body."""

import asyncio
import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request

router = APIRouter(prefix="/api/v1")


@router.get("/slow")
async def slow(seconds: Annotated[float, Query(ge=0, le=30)] = 1.0) -> dict[str, float]:
    """Answer after so many seconds, 30 at most."""
    await asyncio.sleep(seconds)
    return {"slept": seconds}


@router.post("/upload", max_body_size=100 * 2**20)
async def upload(request: Request) -> dict[str, str | int]:
    """Read the whole body as it comes and tell its SHA-256 and its size in bytes; up to 100 MiB."""
    digest, size = hashlib.sha256(), 0
    async for chunk in request.stream():
        digest.update(chunk)
        size += len(chunk)
    return {"sha256": digest.hexdigest(), "size": size}
