"""What may be set from outside: the environment's REMIT_* variables, each with a default that works."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read the settings. A value that can't be one raises pydantic's ValidationError."""

    model_config = SettingsConfigDict(env_prefix="REMIT_", frozen=True)

    app: str = "app:runtime"
    """REMIT_APP: where the command line finds the runtime, as `module:name`; the current folder is looked in first."""
    host: str = "127.0.0.1"
    """REMIT_HOST: the address that `remit serve` listens on."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 8_000
    """REMIT_PORT: the port that `remit serve` listens on."""
