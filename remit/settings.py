"""What may be set from outside: the environment's REMIT_* variables, each with a default that works."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read the settings. A value that can't be one raises pydantic's ValidationError."""

    model_config = SettingsConfigDict(env_prefix="REMIT_", frozen=True)

    app: Annotated[str, Field(description="where the runtime is, as `MODULE:NAME`; the current folder is looked in first")] = "app:runtime"
    host: Annotated[str, Field(description="the address that `remit serve` listens on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535, description="the port that `remit serve` listens on")] = 8_000
    tiles: Annotated[str, Field(description="a folder to which `remit serve` and `remit worker` publish the log as tiles")] = ""
    logs: Annotated[Literal["console", "json"], Field(description="how `remit serve` and `remit worker` write log lines")] = "console"
    stripe_webhook_secret: Annotated[
        SecretStr, Field(description="the signing secret of Stripe's webhook endpoint; without it there is none")
    ] = SecretStr("")
