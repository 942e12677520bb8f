"""Settings: from /run/secrets/NAME where that file is there, else from the environment variable NAME."""

import time
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

SECRETS = Path("/run/secrets")
STARTED = time.monotonic()


class Settings(BaseSettings):
    """One field per variable; the KNOWLEDGE_PROPOSALS_ ones are S0's, with its defaults (off)."""

    model_config = SettingsConfigDict(secrets_dir=SECRETS if SECRETS.is_dir() else None, extra="ignore")

    RELEASE: str = "1.1.0"
    DEPLOYMENT_SLOT: str = "none"
    DATABASE_URL: str = "postgresql+asyncpg://postgres@localhost:5432/tasktracker"
    NATS_URL: str = "nats://localhost:4222"
    ADMIN_TOKEN: str = ""
    LOG_LEVEL: str = "INFO"
    DB_POOL_SIZE: int = 5
    DB_MAX_OVERFLOW: int = 10
    METRICS_PORT: int = 9000
    BROKEN: Literal["errors", "slow", "leak", "posts", "sockets", "none"] = "errors"
    BROKEN_AFTER: float = 120.0
    BROKEN_WAIT: float = 0.4

    KNOWLEDGE_PROPOSALS_ENABLED: bool = False
    KNOWLEDGE_PROPOSALS_INTERNAL_ONLY: bool = False
    KNOWLEDGE_PROPOSALS_INTERNAL_USERS: str = ""
    KNOWLEDGE_PROPOSALS_AUTO_APPROVE_ENABLED: bool = False
    KNOWLEDGE_PROPOSALS_AUTO_APPROVE_THRESHOLD: float = 0.95
    KNOWLEDGE_PROPOSALS_DUPLICATE_DETECTION_ENABLED: bool = False
    KNOWLEDGE_PROPOSALS_SIMILARITY_THRESHOLD: float = 0.85
    KNOWLEDGE_PROPOSALS_MAX_PENDING_PER_RUN: int = 100
    KNOWLEDGE_PROPOSALS_EXPIRATION_ENABLED: bool = False
    KNOWLEDGE_PROPOSALS_EXPIRATION_DAYS: int = 30

    @cached_property
    def version(self) -> tuple[int, ...]:
        """The release as numbers, to compare."""
        return tuple(int(part) for part in self.RELEASE.split("."))

    @property
    def has_proposals(self) -> bool:
        """Whether this release has the Knowledge Proposal System at all."""
        return self.version >= (1, 1, 0)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A mounted secret wins over a variable of the same name."""
        return init_settings, file_secret_settings, env_settings


settings = Settings()
