"""What goes in and out over HTTP, as pydantic sees it at the edge and as OpenAPI tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..actions import FieldError, Problem, Summary
from ..actions.dialects import DIALECTS
from ..audit import State
from ..runtime import ANONYMOUS, Session
from ..runtime.confirmation import Confirmation


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
        str | None, Field(description="Of the request that was looked at, always best sent: a call that has changed since is not approved.")
    ] = None
    shown: Annotated[
        str | None, Field(description="Of the requirement that was looked at: where a fact that was shown has changed, it does not count.")
    ] = None


class Amendment(Sent):
    """Other arguments for a call that waits, as a model would send them."""

    arguments: dict[str, Any]
    digest: Annotated[str | None, Field(description="Of the request that was looked at: one that has changed since is not amended.")] = None
    reason: Annotated[str, Field(max_length=2_000)] = ""


class Customer(Sent):
    """The customer in whose name the call happens; the service has authenticated them."""

    subject: Annotated[Name, Field(min_length=1)]


class CustomerAnswer(Customer):
    """A customer's answer to a confirmation."""

    answer: Literal["approve", "reject"]
    digest: Annotated[str, Field(description="Of the confirmation that the customer saw.")]
    shown: Annotated[
        str | None, Field(description="Of what the customer saw, prices included: where that has changed, the answer does not count.")
    ] = None


class Proof(Customer):
    """What a customer proves their identity by: the code that was sent, or a token that the host has signed."""

    code: Annotated[str | None, Field(pattern="^[0-9]{6}$")] = None
    token: Annotated[str | None, Field(max_length=8_192)] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.code is None) == (self.token is None):
            raise ValueError("either code or token")
        return self


class LinkWanted(Customer):
    """For whom a link is to be, and for how long."""

    within: Annotated[int, Field(ge=60, le=86_400, description="Seconds; never longer than the confirmation is open.")] = 3_600


class Cancellation(Sent):
    """Why a call is no longer wanted."""

    reason: Annotated[str, Field(max_length=2_000)] = ""


class CustomerCancellation(Customer):
    """The customer no longer wants a call."""

    reason: Annotated[str, Field(max_length=2_000)] = ""


class Resolution(Sent):
    """What a person has found out at the provider about a call of unknown outcome."""

    applied: Annotated[bool, Field(description="Whether the effect has happened.")]
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


class Undoing(Sent):
    """Why a call is to be undone, and, with a service's key, in which session that is asked for."""

    reason: Annotated[str, Field(max_length=2_000)] = ""
    session: Annotated[StatedSession | None, Field(description="Of an agent with the same customer; a person's key states none.")] = None


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


class CustomerQuery(Query):
    """For whom a confirmation is."""

    subject: Annotated[Name, Field(min_length=1, description="The customer, authenticated by the service.")]


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
    until: Annotated[str | None, Field(description="The end of its cooling-off, or when an unknown effect is looked up next.")] = None
    settled_by: Annotated[
        Literal["look_up", "person"] | None, Field(description="Who finds out what became of it, where the outcome is unknown.")
    ] = None
    taken_back: Annotated[
        Literal["undone", "reversed"] | None,
        Field(description="What became of the effect since: undone here, or reversed by the provider."),
    ] = None


class Line(BaseModel):
    """One argument."""

    label: str
    text: str


class SummaryBody(BaseModel):
    """What would be done, in the customer's language: plain text, to be escaped for HTML."""

    title: str
    sentence: Annotated[str, Field(description="The action's own words; empty where it has none.")]
    lines: Annotated[list[Line], Field(description="Every argument; secrets as •••.")]
    locale: str
    direction: Literal["ltr", "rtl"]
    notes: list[str] = []

    @classmethod
    def of(cls, summary: Summary) -> Self:
        """Make it of a rendered summary."""
        lines = [Line(label=label, text=text) for label, text in summary.lines]
        return cls.model_validate({**summary.to_json(), "lines": lines})


class ConfirmationBody(BaseModel):
    """What a customer is asked to agree to."""

    call: str
    state: Annotated[
        Literal["open", "approved", "rejected", "voided", "expired", "delayed"],
        Field(description="voided: asked anew, or the call has ended. delayed: it cools off until then, and can still be cancelled."),
    ]
    digest: str
    shown: Annotated[str, Field(description="Names what is shown here; send it back with the answer.")]
    until: str
    summary: SummaryBody

    @classmethod
    def of(cls, asked: Confirmation) -> Self:
        """Make it of what the runtime asks."""
        told = {name: getattr(asked, name) for name in ("call", "digest", "shown", "until")}
        state = "approved" if asked.state == "used" else asked.state
        return cls.model_validate(told | {"state": state, "summary": SummaryBody.of(asked.summary)})


class CodeSentBody(BaseModel):
    """Where a one-time code went."""

    to: Annotated[str, Field(description="The address, masked.")]
    until: str
    left: Annotated[int, Field(description="How many more can be sent for this.")]


class LinkBody(BaseModel):
    """A link for the customer: put the address of this server, as the customer reaches it, before the path."""

    path: str
    until: str


class ApprovalBrief(BaseModel):
    """A call that waits for approval."""

    model_config = ConfigDict(from_attributes=True)

    id: Annotated[str, Field(description="The call's.")]
    action: str
    version: str
    state: State
    principal: str
    subject: str
    created: str
    digest: Annotated[str, Field(description="Names exactly what would run; send it with the vote.")]
    arguments: dict[str, Any]
    requirements: list[dict[str, Any]]


class Approvals(BaseModel):
    """What the person whose key it is could answer now, the most urgent first."""

    approvals: list[ApprovalBrief]


class ApprovalBody(ApprovalBrief):
    """Exactly what would run, why it stopped, what it does to the limits, and what was done before for the same customer."""

    summary: SummaryBody | None
    matched: Annotated[list[dict[str, Any]], Field(description="The rules that counted, with their reasons.")]
    errors: Annotated[list[dict[str, Any]], Field(description="Rules that could not be evaluated.")]
    limits: Annotated[list[dict[str, Any]], Field(description="What the call takes of each limit, and what is left.")]
    earlier: Annotated[list[dict[str, Any]], Field(description="The customer's latest other calls.")]


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
    switches: Annotated[int, Field(description="Kill switches that are thrown.")]
    dead: Annotated[int, Field(description="Calls of unknown outcome that only a person can settle.")]


class ProblemBody(BaseModel):
    """A problem (RFC 9457). `code` is stable; `instance` is in the log."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    field_errors: list[FieldError] = []
