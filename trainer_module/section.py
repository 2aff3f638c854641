"""What every table of the configuration is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of the configuration: immutable, typed, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
