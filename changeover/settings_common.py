"""What all models of the settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from changeover.words import Size, octets


class Strict(BaseModel):
    """Unknown keys, wrong types and later changes are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Limits(Strict):
    """What a container may use at most, and what is kept for it (S1, "Resource Allocation")."""

    cpus: float = Field(1.0, gt=0, allow_inf_nan=False, description="CPU limit in cores")
    memory: Size = Field("512M", description="memory limit; more ends the process")
    cpus_reserve: float = Field(
        0.1, gt=0, description="cores kept: becomes cpu_shares, as compose has no CPU reservation"
    )
    memory_reserve: Size = Field("64M", description="memory kept (a soft limit)")

    @model_validator(mode="after")
    def _reserve_below_limit(self) -> Limits:
        if self.cpus_reserve > self.cpus:
            raise ValueError(f"cpus_reserve {self.cpus_reserve} is more than cpus {self.cpus}")
        if octets(self.memory_reserve) > octets(self.memory):
            raise ValueError(f"memory_reserve {self.memory_reserve} is more than memory {self.memory}")
        return self
