"""Feature flags at run time, for who has ADMIN_TOKEN."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from pydantic import BaseModel, ValidationError
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from app import flags
from app.config import settings
from app.db import Db
from app.models import FeatureFlag


async def admin(authorization: Annotated[str, Header()] = "") -> None:
    """401 without the right Bearer token; 503 where none was set up."""
    if not settings.ADMIN_TOKEN:
        raise HTTPException(503, "ADMIN_TOKEN is not set")
    if not secrets.compare_digest(authorization.encode(), f"Bearer {settings.ADMIN_TOKEN}".encode()):
        raise HTTPException(401, "a valid Bearer token is needed", {"WWW-Authenticate": "Bearer"})


router = APIRouter(prefix="/api/v1/admin/feature-flags", dependencies=[Depends(admin)])


class Change(BaseModel):
    """A flag and its new value; null takes the override away."""

    flag: str
    enabled: bool | None


async def posted(request: Request) -> Change:
    """The change, whatever content type it comes as: S0 posts with a bare `curl -d`."""
    try:
        return Change.model_validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_url=False, include_input=False)) from None


@router.get("")
async def listing() -> dict[str, list[dict[str, Any]]]:
    """Every flag with its value, its default, and whether it is overridden."""
    rows = await flags.overrides(fresh=True)
    return {"flags": [{"flag": name, "enabled": rows.get(name, default), "default": default,
                       "overridden": name in rows} for name, default in flags.DEFAULTS.items()]}


@router.post("")
async def change(db: Db, body: Annotated[Change, Depends(posted)]) -> dict[str, list[dict[str, Any]]]:
    """Set or clear a flag: here at once, in the other processes and slots within a second."""
    if body.flag not in flags.DEFAULTS:
        raise HTTPException(404, f"no flag {body.flag}; there are: {', '.join(flags.DEFAULTS) or 'none'}")
    if body.enabled is None:
        await db.execute(delete(FeatureFlag).where(FeatureFlag.name == body.flag))
    else:
        statement = insert(FeatureFlag).values(name=body.flag, enabled=body.enabled)
        update = {"enabled": body.enabled, "updated_at": statement.excluded.updated_at}
        await db.execute(statement.on_conflict_do_update(index_elements=["name"], set_=update))
    await db.commit()
    return await listing()
