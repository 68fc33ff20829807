"""One typed function becomes a tool, a strict reader, and something that rules and records can name."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from remit.actions import Action, Arguments, Injected, Money, Problem, Secret, Subject, action, keyed, per_call, read
from remit.errors import DefinitionError

from .shop import Address, Reason, Refund, look_up_hours, refund_payment, ship_parcel

SAID = {"key": per_call, "owns": None, "owns_reason": "a test"}
REFUND = {"payment_id": "pi_1", "amount": {"value": "49.90", "currency": "EUR"}, "reason": "late"}
PARCEL = {
    "payment_id": "pi_1",
    "to": {"street": "1 Example Street", "city": "Sampleton"},
    "on": "2026-03-01",
    "at": "2026-03-01T10:00:00+01:00",
    "slot": "10:00:00",
    "weight": 1.5,
    "label": "12345678-1234-5678-1234-567812345678",
    "boxes": [1, 2],
    "code": "hush-hush",
}


def problem(act: Action, **changes: Any) -> Problem:
    found = act.read({**REFUND, **changes} if act is refund_payment else {**PARCEL, **changes})
    assert isinstance(found, Problem), found
    return found


def test_a_decorated_function_stays_callable():
    assert look_up_hours() == {"monday": "9-17"}
    assert repr(refund_payment) == "<Action refund_payment 1 (keyed)>"
    assert refund_payment.title == "Refund payment"
    assert refund_payment.description == "Refund a payment to the card it came from, in full or in part."


def test_the_schema_says_what_the_signature_and_docstring_say():
    schema = refund_payment.schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(schema["properties"]) == ["payment_id", "amount", "reason"]
    assert schema["required"] == ["payment_id", "amount", "reason"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["payment_id"]["description"] == "The payment, as the provider names it."
    assert ship_parcel.schema["properties"]["count"] == {
        "type": "integer",
        "default": 1,
        "minimum": 1,
        "maximum": 9,
        "description": "How many parcels.",
    }
    assert ship_parcel.schema["properties"]["code"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert look_up_hours.schema == {"type": "object", "properties": {}, "additionalProperties": False}


def parts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from parts(item)


def test_a_model_sees_no_marks_and_no_type_lists():
    for act in (refund_payment, ship_parcel, look_up_hours):
        assert not any("x-remit" in part or isinstance(part.get("type"), list) for part in parts(act.schema))
    assert any(part.get("x-remit") == "secret" for part in parts(ship_parcel.rules_schema)), "the control: rules do see them"


def test_rules_see_canonical_arguments():
    arguments = refund_payment.read(json.dumps(REFUND))
    assert isinstance(arguments, Arguments)
    assert arguments.canonical == {"payment_id": "pi_1", "amount": {"currency": "EUR", "minor": 4990}, "reason": "late"}
    assert arguments.values["amount"] == Money(4990, "EUR")
    assert arguments.values["reason"] is Reason.LATE
    jsonschema.validate(arguments.canonical, refund_payment.rules_schema)


def test_every_type_is_read_and_normalised():
    arguments = ship_parcel.read(json.dumps(PARCEL))
    assert isinstance(arguments, Arguments)
    assert arguments.canonical == PARCEL | {
        "at": "2026-03-01T09:00:00Z",
        "weight": "1.5",
        "speed": "slow",
        "gift": False,
        "store": "north",
        "count": 1,
    }
    assert arguments.values == {
        "payment_id": "pi_1",
        "to": Address(street="1 Example Street", city="Sampleton"),
        "on": date(2026, 3, 1),
        "at": datetime(2026, 3, 1, 9, tzinfo=UTC),
        "slot": time(10),
        "weight": Decimal("1.5"),
        "label": UUID(PARCEL["label"]),
        "boxes": [1, 2],
        "speed": "slow",
        "code": "hush-hush",
        "gift": False,
        "store": "north",
        "count": 1,
    }
    jsonschema.validate(arguments.canonical, ship_parcel.rules_schema)
    assert ship_parcel.restore(json.loads(orjson.dumps(arguments.canonical))) == arguments


def test_bytes_text_and_mappings_are_read_alike():
    assert ship_parcel.read(PARCEL) == ship_parcel.read(json.dumps(PARCEL)) == ship_parcel.read(json.dumps(PARCEL).encode())


def test_a_fraction_is_never_a_float():
    long = '{"payment_id": "p", "to": {"street": "s", "city": "c"}, "on": "2026-03-01", "at": "2026-03-01T10:00:00Z", "slot": "10:00", "boxes": [], "label": "12345678-1234-5678-1234-567812345678", "weight": 0.10000000000000000000000010}'
    arguments = ship_parcel.read(long)
    assert isinstance(arguments, Arguments)
    assert arguments.canonical["weight"] == "0.1000000000000000000000001"
    assert arguments.values["weight"] == Decimal("0.1000000000000000000000001")
    assert ship_parcel.restore(arguments.canonical) == arguments


LAX = [
    ("count", True),
    ("count", "1"),
    ("count", 1.0),
    ("boxes", [True]),
    ("boxes", ["1"]),
    ("gift", 1),
    ("gift", "true"),
    ("payment_id", 12),
    ("payment_id", 1.5),
    ("payment_id", None),
    ("weight", "1.5"),
    ("weight", True),
    ("on", "12"),
    ("on", "1772323200"),
    ("on", "2026-03-01T00:00:00"),
    ("on", 20260301),
    ("at", "12"),
    ("at", "2026-03-01T10:00:00"),
    ("at", "2026-03-01 10:00:00Z"),
    ("at", "2026-02-30T10:00:00Z"),
    ("at", "0001-01-01T00:00:00+10:00"),
    ("slot", "36000"),
    ("label", "{12345678-1234-5678-1234-567812345678}"),
    ("to", {"street": 1, "city": "x"}),
    ("to", {"street": "x", "city": "x", "country": "x"}),
    ("speed", "Slow"),
    ("count", 2**53),
]


@pytest.mark.parametrize(("name", "value"), LAX)
def test_nothing_is_coerced(name, value):
    found = ship_parcel.read({**PARCEL, name: value})
    if name == "label":  # another spelling of the same UUID: one canonical form
        assert isinstance(found, Arguments)
        assert found.canonical["label"] == PARCEL["label"]
        return
    assert isinstance(found, Problem)
    assert found.field_errors[0].path.partition(".")[0] == name


def test_control_lax_validation_would_have_taken_half_of_them():
    model = type("Lax", (BaseModel,), {"__annotations__": {"count": int, "gift": bool, "at": datetime}})
    assert model.model_validate_json('{"count": true, "gift": "true", "at": "12"}').count == 1


@pytest.mark.parametrize("name", ["ctx", "subject", "books"])
def test_injected_arguments_are_refused_if_sent(name):
    (wrong,) = problem(refund_payment, **{name: "x"}).field_errors
    assert (wrong.path, wrong.problem) == (name, "is not an argument")


def test_errors_say_how_to_repair_the_call():
    found = refund_payment.read('{"paymentid": "pi_1", "amount": {"value": 49.9, "currency": "EUR"}, "reason": "lates"}')
    assert isinstance(found, Problem)
    assert found.to_json() == {
        "code": "arguments_invalid",
        "message": "Some arguments of `refund_payment` can't be used; correct them and call again.",
        "retry": "fix_arguments",
        "suggestion": None,
        "field_errors": [
            {"path": "payment_id", "problem": "is missing", "expected": "a value"},
            {"path": "amount.value", "problem": "is the number 49.9", "expected": "an amount as decimal text"},
            {"path": "reason", "problem": "is the text `lates`", "expected": "'damaged' or 'late'", "suggestion": "did you mean `late`?"},
            {"path": "paymentid", "problem": "is not an argument", "expected": "nothing here", "suggestion": "did you mean `payment_id`?"},
        ],
    }


def test_a_repaired_call_is_accepted():
    wrong = {**REFUND, "paymentid": "pi_1"}
    del wrong["payment_id"]
    (missing, unknown) = refund_payment.read(wrong).field_errors
    wrong[missing.path] = wrong.pop(unknown.path)
    assert isinstance(refund_payment.read(wrong), Arguments)


def test_nested_errors_have_a_path_and_a_suggestion():
    (wrong,) = problem(ship_parcel, to={"street": "x", "city": "y", "zipp": "1"}).field_errors
    assert (wrong.path, wrong.suggestion) == ("to.zipp", "did you mean `zip`?")
    assert problem(ship_parcel, boxes=[1, "x"]).field_errors[0].path == "boxes.1"


def test_at_most_twenty_errors_and_no_long_values():
    found = problem(refund_payment, reason="x" * 5000, **{f"no_{i}": i for i in range(50)}, **{"k" * 5000: 1})
    assert len(found.field_errors) == 20
    assert all(len(wrong.problem) < 100 and len(wrong.path) <= 80 for wrong in found.field_errors)


def test_a_secret_is_never_in_a_problem():
    for value in (["hush-hush"], {"hush-hush": 1}, 77777):
        text = json.dumps(problem(ship_parcel, code=value).to_json())
        assert "hush" not in text
        assert "77777" not in text
    assert "77777" in json.dumps(problem(ship_parcel, payment_id=77777).to_json()), "the control"


@pytest.mark.parametrize(
    "raw", ["", "[]", "null", "12", '"{}"', '{"a": 1, "a": 2}', b"\xff", '{"a": NaN}', "{" * 100, {"a": float("nan")}, {1: 2}, {"é": 1}]
)
def test_what_is_not_one_json_object_is_unreadable(raw):
    found = refund_payment.read(raw)
    assert isinstance(found, Problem)
    assert (found.code, found.retry) == ("arguments_unreadable", "fix_arguments")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["49.90", "EUR", "late", "2026-03-01T10:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "currency", "street", "city", "x", "é"]), inner, max_size=3)
    ),
    max_leaves=6,
)
HOSTILE = st.dictionaries(st.sampled_from([*PARCEL, *REFUND, "ctx", "subject", "x"]), JSON, max_size=14)


@given(HOSTILE, st.sampled_from([refund_payment, ship_parcel, look_up_hours]), st.booleans())
def test_nothing_that_a_model_sends_raises(document, act, complete):
    given_arguments = {**(PARCEL if act is ship_parcel else REFUND), **document} if complete else document
    found = act.read(given_arguments)
    assert isinstance(found, Arguments | Problem)
    again = act.read(json.dumps(given_arguments))
    assert again == found or again.code == found.code == "arguments_unreadable"  # which place is named may differ
    if isinstance(found, Arguments):
        assert act.restore(found.canonical) == found
        jsonschema.validate(found.canonical, act.rules_schema)
    else:
        assert json.dumps(found.to_json())


@given(st.binary(max_size=30) | st.text(max_size=30))
def test_no_bytes_raise(raw):
    assert isinstance(refund_payment.read(raw), Arguments | Problem)


def test_values_are_classified():
    clear, personal, secret = ship_parcel.classify(ship_parcel.read(PARCEL).canonical)
    assert clear == {"speed": "slow", "gift": False, "store": "north"}
    assert set(personal) == {"/payment_id", "/to", "/on", "/at", "/slot", "/weight", "/label", "/boxes", "/count"}
    assert secret == {"/code"}
    assert refund_payment.classify(refund_payment.read(REFUND).canonical)[0].keys() == {"amount", "reason"}


def test_a_secret_inside_makes_the_whole_secret():
    class Card(BaseModel):
        number: str

    class Wallet(BaseModel):
        pin: Secret[str]
        note: str

    @action(key=per_call, owns=None, owns_reason="a test")
    def pay(wallet: Wallet, card: Card) -> None:
        """Pay."""

    assert pay.classify({"wallet": {"pin": "1", "note": "n"}, "card": {"number": "1"}}) == ({}, {"/card": {"number": "1"}}, {"/wallet"})


def test_the_digest_changes_with_what_a_caller_relies_on():
    def variant(**declared):
        def act(a: int) -> int:
            """Act."""
            return a

        return action(name="act", owns=None, owns_reason="a test", **declared)(act).schema_digest

    same = variant(effect=read)
    assert same == variant(effect=read, version="2", tags=["x"])
    assert len({same, variant(effect=keyed("1h"), key="x:{a}"), variant(effect=keyed("1h"), key="y:{a}"), variant(key="x:{a}")}) == 4


def test_results():
    refund = Refund(id="re_1", amount=Money(5, "JPY"), reason=Reason.LATE)
    result = refund_payment.result(refund)
    assert result.canonical == {
        "id": "re_1",
        "amount": {"currency": "JPY", "minor": 5},
        "reason": "late",
        "risk": 0,
        "at": "2026-03-01T10:00:00Z",
    }
    assert result.model == {"id": "re_1", "amount": {"value": "5", "currency": "JPY"}, "reason": "late", "at": "2026-03-01T10:00:00Z"}
    assert refund_payment.classify_result(result.canonical)[0].keys() == {"amount", "reason"}


def test_names_inside_may_have_an_alias():
    class Inner(BaseModel):
        kind: str = Field(alias="class")

    @action(**SAID)
    def act(a: Inner) -> None:
        """Act."""

    found = act.read('{"a": {"class": "x"}}')
    assert found.canonical == {"a": {"class": "x"}}
    assert act.restore(found.canonical) == found


def test_a_validator_that_fails_otherwise_is_no_exception(caplog):
    class Inner(BaseModel):
        b: str

        @field_validator("b")
        @classmethod
        def check(cls, value: str) -> str:
            return {"known": "x"}[value]

    @action(**SAID)
    def act(a: Inner) -> None:
        """Act."""

    assert isinstance(act.read('{"a": {"b": "known"}}'), Arguments)
    assert isinstance(act.read('{"a": {"b": "unknown"}}'), Problem)
    assert "KeyError" in caplog.text


def test_a_flood_of_unknown_arguments_stays_small():
    found = problem(refund_payment, **{f"no_{i}": i for i in range(15_000)})
    assert len(found.field_errors) == 20


def test_arguments_may_be_called_like_methods_of_pydantic():
    @action(**SAID)
    def act(json: int, copy: int, schema: int, model_dump: int) -> None:
        """Act."""

    sent = {"json": 1, "copy": 2, "schema": 3, "model_dump": 4}
    assert act.read(sent) == Arguments(sent, sent)


BROKEN: list[tuple[str, Any]] = []


def broken(says: str):
    def take(make: Any) -> Any:
        BROKEN.append((says, make))
        return make

    return take


@broken("Decimal")
def floating():
    @action(**SAID)
    def act(a: float) -> None:
        """Act."""


@broken("Decimal")
def floating_inside():
    class Inner(BaseModel):
        weights: list[dict[str, float | None]]

    @action(**SAID)
    def act(a: Inner) -> None:
        """Act."""


@broken("Decimal")
def floating_result():
    @action(**SAID)
    def act() -> float:
        """Act."""
        return 1.0


@broken("Any says nothing")
def anything():
    @action(**SAID)
    def act(a: dict[str, Any]) -> None:
        """Act."""


@broken("no annotation")
def unannotated():
    @action(**SAID)
    def act(a) -> None:
        """Act."""


@broken("say what it returns")
def no_result():
    @action(**SAID)
    def act(a: int):
        """Act."""


@broken("write each argument out")
def star():
    @action(**SAID)
    def act(*a: int) -> None:
        """Act."""


@broken("write each argument out")
def stars():
    @action(**SAID)
    def act(**a: int) -> None:
        """Act."""


@broken("write each argument out")
def positional():
    @action(**SAID)
    def act(a: int, /) -> None:
        """Act."""


@broken("not a generator")
def generator():
    @action(**SAID)
    async def act(a: int) -> Iterator[int]:
        """Act."""
        yield a


@broken("docstring or in description= what it does")
def silent():
    @action(**SAID)
    def act(a: int) -> None: ...


@broken("lower-case letters")
def misnamed():
    @action(**SAID)
    def refundPayment(a: int) -> None:
        """Act."""


@broken("lower-case letters")
def dotted():
    @action(name="a.b", **SAID)
    def act(a: int) -> None:
        """Act."""


@broken("names its effect")
def keyless():
    @action(owns="true")
    def act(a: int) -> None:
        """Act."""


@broken("owns=None with owns_reason")
def unowned():
    @action(key=per_call)
    def act(a: int) -> None:
        """Act."""


@broken("owns=None with owns_reason")
def owned_and_not():
    @action(key=per_call, owns="true", owns_reason="why")
    def act(a: int) -> None:
        """Act."""


@broken("known are a, subject.id, tenant")
def wrong_key():
    @action(key="x:{b}", owns="true")
    def act(a: int) -> None:
        """Act."""


@broken("not a duration")
def wrong_deadline():
    @action(deadline="soon", **SAID)
    def act(a: int) -> None:
        """Act."""


@broken("timeout= is unknown")
def wrong_keyword():
    @action(timeout=3, **SAID)
    def act(a: int) -> None:
        """Act."""


@broken("default of 'a'")
def wrong_default():
    @action(**SAID)
    def act(a: int = None) -> None:  # noqa: RUF013  (the mistake itself)
        """Act."""


@broken("'b', which is not an argument; arguments are a")
def wrong_loader():
    async def load(b: int) -> dict[str, str]:
        return {}

    @action(facts={"thing": load}, **SAID)
    def act(a: int) -> None:
        """Act."""


@broken("nothing around it")
def hidden_subject():
    @action(**SAID)
    def act(subject: Subject | None = None) -> None:
        """Act."""


@broken("needs a class")
def injected_text():
    @action(**SAID)
    def act(a: Injected["int | str"]) -> None:
        """Act."""


@broken("module level")
def unresolved():
    def act(a: "Missing") -> None:  # noqa: F821
        """Act."""

    action(**SAID)(act)


@broken("underscore")
def private():
    @action(**SAID)
    def act(_a: int) -> None:
        """Act."""


@broken("Cannot generate")
def odd_type():
    @action(**SAID)
    def act(a: object.__class__) -> complex:
        """Act."""


@broken("write a: … = None")
def required_null():
    @action(**SAID)
    def act(a: int | None) -> None:
        """Act."""


@broken("write b: … = None")
def required_null_inside():
    class Inner(BaseModel):
        b: int | None

    @action(**SAID)
    def act(a: list[Inner]) -> None:
        """Act."""


@broken("use a list")
def unordered():
    @action(**SAID)
    def act(a: set[str]) -> None:
        """Act."""


@broken("has an alias")
def aliased():
    @action(**SAID)
    def act(a: Annotated[int, Field(alias="b")]) -> None:
        """Act."""


@broken("effect= is read, once")
def uncalled_effect():
    @action(effect=keyed, **SAID)
    def act(a: int) -> None:
        """Act."""


@broken("tags= is a list")
def one_tag():
    @action(tags="money", **SAID)
    def act(a: int) -> None:
        """Act."""


@pytest.mark.parametrize(("says", "make"), BROKEN, ids=[make.__name__ for _, make in BROKEN])
def test_definitions_that_could_not_work(says, make):
    with pytest.raises(DefinitionError, match=says.replace("(", r"\(").replace("…", ".")):
        make()


def test_numbers_that_take_too_much_room_in_full_are_refused():
    @action(effect=read, owns=None, owns_reason="a test")
    async def add_up(numbers: list[Decimal]) -> None:
        """Add up."""

    for many in (json.dumps({"numbers": [0]}).replace("0", ",".join(["1e308"] * 40_000)), {"numbers": [Decimal("1e300")] * 2_000}):
        refused = add_up.read(many)
        assert isinstance(refused, Problem) and refused.code == "arguments_unreadable"
    assert isinstance(add_up.read({"numbers": [Decimal("1e300")] * 100}), Arguments)
