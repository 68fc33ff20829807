"""What a condition may say: types from the action's schemas, and what CEL alone would let pass."""

import pytest

from remit.errors import PolicyError
from remit.policies import ActionShape, EvaluationError, compile_expression
from tests.policies.shop import REFUND, SHAPES, inputs

EUR = 'arguments.amount.currency == "EUR" && '


def evaluate(text, given=None):
    return compile_expression(text, REFUND).evaluate(given or inputs())


@pytest.mark.parametrize(
    "text",
    [
        "facts.payment.customer == subject.id",
        'now - facts.payment.created == duration("24h")',
        "facts.payment.created.getFullYear() == 2026",
        'facts.payment.created == timestamp("2026-03-01T11:00:00+01:00")',
        "facts.payment.attempts.exists(attempt, attempt.at < now)",
        "facts.payment.replaces.replaces.created < now",
        "!has(arguments.note) && !has(facts.payment.settled)",
        "!has(session.channel) && has(session.model)",
        'arguments.reason in ["requested", "fraud"]',
        'arguments.parts.all(part, part.currency == "EUR" && part.minor > 100)',
        'arguments.parts[0].minor == 200 && arguments.parts[0].currency == "EUR"',
        "arguments.grid[0][1] == 2",
        'arguments.labels["colour"] == "blue" && arguments.labels.colour.startsWith("bl")',
        'double(arguments.rate) > 1 && arguments.rate == "1.5"',
        EUR + "arguments.amount.minor > 4989.5 && arguments.amount.minor < 4990.5",
        "facts.payment.fee.minor == 30",
        "facts.profile.any.thing[0] == 7",
        'principal.kind == "agent" && session.tenant == "default"',
        r'arguments.payment_id.matches("^pay_[0-9]+$")',
        "true // a comment at the end",
        'true\n&&\n"ü€😀".size() == 3',
    ],
)
def test_true(text):
    again = {"created": "2026-02-01T10:00:00Z"}
    given = inputs(
        arguments={
            "parts": [{"currency": "EUR", "minor": 200}],
            "grid": [[1, 2]],
            "labels": {"colour": "blue"},
            "rate": "1.5",
        },
        payment={"attempts": [{"at": "2026-03-01T10:00:00Z"}], "replaces": {"replaces": again}, "fee": {"currency": "EUR", "minor": 30}},
        profile={"any": {"thing": [7]}},
    )
    assert evaluate(text, given) is True


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("facts.payment.dispute", "`facts.payment` has no field `dispute`; did you mean `disputed`?"),
        ("facts.payments.disputed", "`facts` has no field `payments`; did you mean `payment`?"),
        ("facts.payment.replaces.replaces.nothing", "`facts.payment` has no field `nothing`"),
        ("has(arguments.notes)", "`arguments` has no field `notes`; did you mean `note`?"),
        ("fact.payment", "unknown name `fact`; did you mean `facts`?"),
        ("facts.payment.customer > 4", "`>` can't take (string, int)"),
        ('facts.payment.created < "2026-01-01"', "`<` can't take (timestamp, string)"),
        ("facts.payment.disputed == 'yes'", "`==` can't take (bool, string)"),
        ("facts.payment.customer == null", "`==` can't take (string, null)"),
        ("facts.payment.customer", "must give bool, not string"),
        ("facts.payment", "must give bool, not object"),
        ("facts.payment.disputed &&", "Syntax error: mismatched input '<EOF>'"),
        ("", "Syntax error: mismatched input '<EOF>'"),
        ('principal.kind == "robot"', "`principal.kind` is never `robot`: it is one of agent, person, service"),
        ('"frud" != arguments.reason', "`arguments.reason` is never `frud`; did you mean `fraud`?"),
        ('arguments.reason in ["fraud", "xyz"]', "`arguments.reason` is never `xyz`: it is one of duplicate, fraud, requested"),
        ('arguments.payment_id.matches("(a)\\\\1")', "not a pattern that RE2 takes"),
        ('arguments.payment_id.matches("(?=a)")', "not a pattern that RE2 takes"),
        ('arguments.payment_id.matches("(")', "not a pattern that RE2 takes"),
        ("arguments.amount.minor > 5000", "`arguments.amount.minor` says nothing without its currency"),
        (EUR + "facts.payment.amount.minor > arguments.amount.minor", "`facts.payment.amount.minor` says nothing without its currency"),
        ("has(arguments.amount.currency) && arguments.amount.minor > 1", "`arguments.amount.minor` says nothing without its currency"),
        ("arguments.parts.exists(part, part.minor > 5)", "`part.minor` says nothing without its currency"),
        ("arguments.parts[0].minor > 5 && arguments.parts[1].currency == 'EUR'", "`the amount.minor` says nothing without its currency"),
        ("facts.profile.price.minor > 5", "`facts.profile.price.minor` says nothing without its currency"),
        ("shape.o0{} == shape.o0{}", "unknown name `shape`"),
        ("(" * 40 + "true" + ")" * 40, "too deep or too large"),
        ("true" + " && true" * 600, "longer than 4,096 characters"),
        ("1" + " + 1" * 40 + " == 41", "too deep or too large"),
    ],
)
def test_refused(text, says):
    with pytest.raises(PolicyError) as raised:
        evaluate(text)
    assert raised.value.message.startswith(says)


def test_a_pattern_that_would_backtrack_is_linear():
    assert evaluate('arguments.payment_id.matches("^(a+)+$")', inputs(arguments={"payment_id": "a" * 100_000 + "!"})) is False


def test_an_expression_may_give_text():
    about = compile_expression("facts.payment.customer", REFUND, result=str, place="refund_payment: about")
    assert about.evaluate(inputs()) == "cus_kim"
    assert isinstance(about.evaluate(inputs(payment={"customer": None})), EvaluationError)
    assert about.facts == {"payment"}
    with pytest.raises(PolicyError, match="must give string, not bool"):
        compile_expression("facts.payment.disputed", REFUND, result=str)


def test_an_error_points_into_an_expression_outside_the_files():
    with pytest.raises(PolicyError) as raised:
        compile_expression("facts.payment.customer == subject.ident", REFUND, place="refund_payment: owns")
    assert str(raised.value) == (
        "refund_payment: owns:1:35: `subject` has no field `ident`\n"
        "facts.payment.customer == subject.ident\n"
        "                                  ^"
    )


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"ship-to": {"type": "string"}}},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
        {"anyOf": [{"type": "object"}, {"type": "string"}]},
        {"$ref": "#/$defs/Nowhere"},
        {"$ref": "#/$defs/Loop", "$defs": {"Loop": {"$ref": "#/$defs/Loop"}}},
        {"enum": ["a", 1]},
        {"type": ["string", "integer"]},
    ],
)
def test_what_a_schema_leaves_open_is_free(schema):
    shape = ActionShape("free", SHAPES["cancel_order"].arguments, {"thing": schema})
    assert compile_expression("facts.thing.anything == 1", shape).text


@pytest.mark.parametrize(
    ("schema", "condition"),
    [
        ({"enum": [1, 2]}, 'facts.thing == "1"'),
        ({"enum": [True]}, 'facts.thing == "1"'),
        ({"enum": ["a", None]}, 'facts.thing == "b"'),
        ({"const": "a"}, 'facts.thing == "b"'),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, 'facts.thing == "eur"'),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, 'facts.thing in ["EUR", "usd"]'),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "string", "pattern": "^[A-Z]{3}$"}}}, 'facts.thing != "eur"'),
        ({"type": ["string", "null"]}, "facts.thing == 1"),
        ({"allOf": [{"type": "integer"}]}, 'facts.thing == "1"'),
        ({"oneOf": [{"type": "boolean"}, {"type": "null"}]}, "facts.thing == 1"),
        ({"type": "object", "properties": {}}, "facts.thing.a == 1"),
        ({"type": "object", "properties": {"a_b": {"type": "string"}, "aB": {"type": "integer"}}}, "facts.thing.a_b == facts.thing.aB"),
    ],
)
def test_what_a_schema_says_is_checked(schema, condition):
    shape = ActionShape("typed", SHAPES["cancel_order"].arguments, {"thing": schema})
    with pytest.raises(PolicyError):
        compile_expression(condition, shape)


@pytest.mark.parametrize("pattern", ["^[A-Z]{3}$", "", "(?=E)[A-Z]+"])
def test_a_pattern_refuses_only_what_never_is(pattern):
    shape = ActionShape("typed", SHAPES["cancel_order"].arguments, {"thing": {"type": "string", "pattern": pattern}})
    assert compile_expression('facts.thing == "EUR" || facts.thing in ["GBP"]', shape).text
