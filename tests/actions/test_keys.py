"""Effect keys: two different fillings never give one key."""

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from remit.actions import Again, KeyTemplate, after, per_call
from remit.errors import DefinitionError

KNOWN = {"a": "string", "b": "string", "n": "integer", "flag": "boolean", "amount": "object", "amount.currency": "string", "any": "mixed"}
NASTY = st.text(alphabet="ab:/%~-._é {}\x00", max_size=5) | st.text(max_size=5) | st.none()
TEMPLATE = KeyTemplate("move:{a}/{b}:{subject.id}@{tenant}")


def collides(fill, one, other) -> bool:
    return one != other and fill(*one) == fill(*other)


def fill(a, b, subject, tenant):
    return TEMPLATE.fill({"a": a, "b": b}, subject, tenant)


FILLING = st.tuples(NASTY, NASTY, NASTY.filter(lambda text: text is not None), st.sampled_from(["t", "t/t"]))


@given(FILLING, FILLING)
def test_different_fillings_give_different_keys(one, other):
    TEMPLATE.check(KNOWN)
    assert not collides(fill, one, other)
    assert fill(*one).isascii()


def test_control_without_escaping_they_collide():
    def naive(a, b, subject, tenant):
        return f"move:{a}/{b}:{subject}@{tenant}"

    assert collides(naive, ("x/y", "z", "s", "t"), ("x", "y/z", "s", "t"))


def test_fillings():
    template = KeyTemplate("pay:{amount.currency}/{n}/{flag}")
    template.check(KNOWN)
    assert template.fill({"amount": {"currency": "EUR", "minor": 1}, "n": 0, "flag": False}, "s", "t") == "pay:EUR/0/false"
    assert template.fill({"n": 7}, "s", "t") == "pay:~/7/~"
    assert KeyTemplate("x:{a}").fill({"a": "~"}, "s", "t") == "x:%7E"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x:{payment_id}", "known are a, amount, amount.currency, any, b, flag, n, subject.id, tenant"),
        ("x:{amount}", "is object"),
        ("x:{any}", "is mixed"),
        ("x:{a}{b}", "put a `:` or `/` between"),
        ("x:{a}-{b}", "put a `:` or `/` between"),
        ("x:{a", "brace"),
        ("x:{}", "unknown"),
    ],
)
def test_templates_that_can_not_be_used(text, says):
    with pytest.raises(DefinitionError, match=says):
        KeyTemplate(text).check(KNOWN)


@given(NASTY, NASTY, NASTY, NASTY)
def test_control_a_dash_between_placeholders_would_collide(a, b, c, d):
    assume((a, b) != (c, d))
    loose, firm = KeyTemplate("{a}-{b}"), KeyTemplate("{a}/{b}")
    assert loose.fill({"a": "x-y", "b": "z"}, "", "") == loose.fill({"a": "x", "b": "y-z"}, "", "")
    assert firm.fill({"a": a, "b": b}, "", "") != firm.fill({"a": c, "b": d}, "", "")


def test_again():
    assert Again.of("never") == Again()
    assert Again.of("confirmed").when == "confirmed"
    assert Again.of(after("15m")).wait == timedelta(minutes=15)
    assert repr(per_call) == "per_call"
    for wrong in ("always", "", 15):
        with pytest.raises(DefinitionError, match="never"):
            Again.of(wrong)
