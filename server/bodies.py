"""What goes in and out over HTTP, as pydantic sees it at the edge and as OpenAPI tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..actions import FieldError, Problem
from ..actions.dialects import DIALECTS
from ..audit import State
from ..runtime import ANONYMOUS, Session


def _written(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a date and time as text, such as 2026-03-01T10:00:00Z")  # noqa: TRY004 - pydantic collects ValueError
    return value


Name = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written)]
Seconds = Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)]


class Sent(BaseModel):
    """What a client sends: nothing is converted, and what is not known here is refused rather than passed over."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class StatedSession(Sent):
    """Who asks, for whom, and where; stated by the service that authenticated the customer. The tenant is the key's."""

    principal: Annotated[Name, Field(min_length=1, description="The agent that asks.")]
    subject: Annotated[Name, Field(min_length=1, description="The customer in whose name it happens.")] = ANONYMOUS
    conversation: Annotated[Name, Field(description="One conversation; idempotency keys are unique within it.")] = ""
    channel: Name = ""
    model: Name = ""
    assurance: Annotated[int, Field(ge=0, le=9, description="How sure the service is of the subject; 0 is not at all.")] = 0
    verified_at: Annotated[Moment | None, Field(description="Since when it is (RFC 3339, with an offset).")] = None
    turn: Annotated[int, Field(ge=0, description="The customer's messages so far; unusable calls are forgiven at each new one.")] = 0
    locale: Annotated[Name | None, Field(description="A BCP 47 language tag.")] = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        self.as_session("default")
        return self

    def as_session(self, tenant: str) -> Session:
        """Make the runtime's session; raises `ValueError` for an anonymous subject with assurance."""
        return Session(tenant=tenant, **{name: getattr(self, name) for name in type(self).model_fields})


class NewCall(Sent):
    """A model's tool call, as the host received it, and the session it belongs to."""

    name: Annotated[str, Field(description="The action.")]
    arguments: Annotated[
        dict[str, Any] | str, Field(description="What the model wrote: its text, or the object it means. The runtime judges it.")
    ]
    session: StatedSession


class Vote(Sent):
    """A person's answer to an approval; who that is, the key says."""

    answer: Literal["approve", "reject"]
    reason: Annotated[str, Field(max_length=2_000)] = ""
    digest: Annotated[
        str | None, Field(description="Of the request that was looked at: a call that has changed since is not approved.")
    ] = None


class Cancellation(Sent):
    """Why a call is no longer wanted."""

    reason: Annotated[str, Field(max_length=2_000)] = ""


class Query(BaseModel):
    """Parameters of a query: a misspelt `dry_run` must not do the thing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolsQuery(Query):
    """Whose API the tools are for."""

    dialect: Annotated[Literal[*DIALECTS], Field(description="The provider's API.")]  # type: ignore[valid-type]


class SubmitQuery(Query):
    """How a call is taken up."""

    dry_run: Annotated[bool, Field(description="Decide, and neither do nor record anything.")] = False
    wait: Annotated[Seconds, Field(description="Seconds to wait for the outcome; the call goes on regardless.")] = 30.0


class CallQuery(Query):
    """How long to wait."""

    wait: Annotated[Seconds, Field(description="Seconds to wait until the call is final.")] = 0.0


class EventsQuery(Query):
    """Which page of the log."""

    after: Annotated[int, Field(ge=-1, le=2**53 - 1, description="The place in the log behind which to begin.")] = -1
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class OutcomeBody(BaseModel):
    """What became of a call. Give it to the model as it is."""

    call: Annotated[str | None, Field(description="The call's id; null where none was recorded.")]
    action: str
    state: State
    message: Annotated[str, Field(description="One or two sentences for the model.")]
    result: Any = None
    error: Problem | None = None
    waiting: Annotated[list[dict[str, str]], Field(description="For whom the call waits: `requirement` and `for`.")] = []
    repeated: Annotated[bool, Field(description="An earlier, equal request has this outcome; nothing was done again.")] = False
    dry_run: bool = False


class Tools(BaseModel):
    """The actions, as the provider's API takes them."""

    tools: list[dict[str, Any]]


class Events(BaseModel):
    """A page of the log: clear parts and commitments, no personal values."""

    events: Sequence[Mapping[str, Any]]
    after: Annotated[int, Field(description="Ask for what is behind this place next.")]


class HealthBody(BaseModel):
    """How the service stands."""

    database: Literal["ok"]
    oldest_unsequenced_seconds: Annotated[float, Field(description="Age of the oldest event that no checkpoint covers yet.")]
    running: Annotated[int, Field(description="Calls on their way in this process.")]
    queued: Annotated[int, Field(description="Changes that wait for a transaction.")]


class ProblemBody(BaseModel):
    """A problem (RFC 9457). `code` is stable; `instance` is in the log."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    field_errors: list[FieldError] = []
