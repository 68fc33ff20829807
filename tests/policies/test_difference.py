"""The difference of two bundles: what changed, where, and whether that allows more or less."""

import pytest

from remit.errors import PolicyError
from remit.policies import decide, load
from remit.policies.difference import Effect, difference
from tests.policies.shop import SHAPES, inputs

HEAD = "policy: refunds\nactions: [refund_payment]\n"
LIMIT = "id: month, measure: arguments.amount, currency: EUR, window: 30d, at_most: 100"


def bundle(*rules: str, limits: tuple[str, ...] = (), head: str = HEAD) -> dict[str, str]:
    parts = [(key, clauses) for key, clauses in (("rules", rules), ("limits", limits)) if clauses]
    return {"refunds.yaml": head + "".join(f"{key}:\n" + "".join(f"  - {{{one}}}\n" for one in clauses) for key, clauses in parts)}


def rule(then: str) -> str:
    return f"id: x, {then}"


def only(old, new):
    [change] = difference(old, new)
    return change


CHANGES = [
    ("then: allow", "then: deny", "tighter"),
    ("then: allow", "then: require_confirmation", "tighter"),
    ("then: require_step_up", "then: deny", "tighter"),
    ("then: require_confirmation", "then: require_step_up", "other"),
    ("then: allow, when: 1 > 0", "then: allow", "looser"),
    ("then: deny, when: 1 > 0", "then: deny", "tighter"),
    ("then: deny, when: 1 > 0", "then: deny, when: 2 > 0", "other"),
    ("then: allow, when: 1 > 0", "then: deny, when: 2 > 0", "other"),
    ("then: allow, say: a", "then: allow, say: b", "other"),
    ("then: deny, say: a", "then: require_step_up, step_up: {to: 3}, say: b", "looser"),
    ("then: require_step_up", "then: require_step_up, step_up: {to: 3}", "tighter"),
    ("then: require_confirmation", "then: require_confirmation, confirmation: {within: 2h}", "tighter"),
    ("then: require_approval, approval: {by: a}", "then: require_approval, approval: {by: a, votes: 2}", "tighter"),
    ("then: require_approval, approval: {by: a}", "then: require_approval, approval: {by: a, within: 25h}", "looser"),
    ("then: require_approval, approval: {by: a}", "then: require_approval, approval: {by: b}", "other"),
    ("then: require_approval, approval: {by: a}", "then: require_approval, approval: {by: a, votes: 2, within: 2d}", "other"),
    (
        "then: require_approval, approval: {by: a}",
        "then: require_approval, approval: {by: a, escalate: {after: 1h, to: b}}",
        "looser",
    ),
    (
        "then: require_approval, approval: {by: a, escalate: {after: 1h, to: b}}",
        "then: require_approval, approval: {by: a, escalate: {after: 90m, to: b}}",
        "tighter",
    ),
]


@pytest.mark.parametrize(("old", "new", "effect"), CHANGES)
def test_a_changed_rule_is_marked_where_that_is_sure(old, new, effect):
    there, back = only(bundle(rule(old)), bundle(rule(new))), only(bundle(rule(new)), bundle(rule(old)))
    assert (there.kind, there.name, there.what, there.effect) == ("rule", "refunds/x", "changed", effect)
    assert back.effect is Effect(effect).opposite


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        (("at_most: 100", "at_most: 101"), "looser"),
        (("window: 30d", "window: 60d"), "other"),  # another series, which begins empty
        (("currency: EUR", "currency: JPY"), "other"),
        (("at_most: 100", "at_most: 100, per: subject.id"), "other"),
        (("at_most: 100", "at_most: 100, beyond: require_approval, approval: {by: finance}"), "looser"),
        (("at_most: 100", "at_most: 50, beyond: require_step_up"), "other"),
    ],
)
def test_a_changed_limit_is_marked_where_that_is_sure(change, effect):
    old, new = bundle(limits=(LIMIT,)), bundle(limits=(LIMIT.replace(*change),))
    assert (only(old, new).kind, only(old, new).effect) == ("limit", effect)
    assert only(new, old).effect is Effect(effect).opposite


@pytest.mark.parametrize(("then", "effect"), [("allow", "looser"), ("deny", "tighter"), ("require_confirmation", "tighter")])
def test_what_is_added_or_removed_is_marked(then, effect):
    less, more = bundle(rule("then: allow")), bundle(rule("then: allow"), f"id: y, then: {then}")
    added, removed = only(less, more), only(more, less)
    assert (added.name, added.what, added.effect) == ("refunds/y", "added", effect)
    assert (removed.name, removed.what, removed.effect) == ("refunds/y", "removed", Effect(effect).opposite)
    assert (added.path, added.line) == (removed.path, removed.line) == ("refunds.yaml", 5)


def test_a_limit_that_is_added_is_tighter():
    assert only(bundle(rule("then: allow")), bundle(rule("then: allow"), limits=(LIMIT,))).effect == "tighter"


@pytest.mark.parametrize(
    ("head", "kind", "key", "effect"),
    [
        ("requires: [cancel_order]\n", "policy", "requires", "tighter"),
        ("tenant: shop-b\n", "policy", "tenant", "other"),
        ("include: [common]\n", "policy", "include", "other"),
    ],
)
def test_the_head_of_a_file_is_compared(head, kind, key, effect):
    change = only(bundle(rule("then: deny")), bundle(rule("then: deny"), head=HEAD + head))
    assert (change.kind, change.name, change.effect, [one.key for one in change.keys]) == (kind, "refunds", effect, [key])


def test_a_definition_that_changed_is_named():
    old, new = (bundle(rule("when: a, then: deny"), head=f"{HEAD}define: {{a: {text}}}\n") for text in ("true", "1 > 2"))
    change = only(old, new)
    assert (change.kind, change.name, change.effect) == ("definition", "refunds/a", "other")
    assert [(key.old, key.new) for key in change.keys] == [("true", "1 > 2")]


def test_each_key_that_changed_is_told():
    old = bundle(rule("then: require_approval, approval: {by: a}, reason: because"))
    new = bundle(rule("then: require_approval, approval: {by: a, votes: 2}"))
    assert [(key.key, key.old, key.new) for key in only(old, new).keys] == [("approval.votes", 1, 2), ("reason", "because", None)]
    assert only(old, new).effect == "tighter"


def test_what_means_the_same_does_not_differ():
    old = bundle(rule("then: require_step_up"), rule("then: require_confirmation").replace("x", "y"))
    [text] = old.values()
    written = "# said again\n" + text.replace("require_step_up", "require_step_up, when: true, step_up: {to: 2, within: 1h}")
    written = written.replace("require_confirmation", "require_confirmation, confirmation: {within: 24h}")
    assert difference(old, {"moved.yaml": written}) == ()


def test_a_broken_bundle_is_refused_at_its_place():
    with pytest.raises(PolicyError, match="then") as raised:
        difference(bundle(rule("then: allow")), bundle(rule("then: alow")))
    assert (raised.value.path, raised.value.line) == ("refunds.yaml", 4)


RANK = {"deny": 2, "ask": 1, "allow": 0}


def strictness(policies, given) -> int:
    decision = decide(policies, given)
    return RANK["deny" if not decision.allowed else "ask" if decision.requirements else "allow"]


@pytest.mark.parametrize(("old", "new", "effect"), [each for each in CHANGES if each[2] != "other"])
def test_what_is_marked_is_so_whatever_the_call(old, new, effect):
    """Decide under both, beside a rule that allows and alone: never the other way."""
    for beside in ((), ("id: base, then: allow",)):
        before, after = (load(bundle(rule(text), *beside), SHAPES) for text in (old, new))
        for given in (inputs(), inputs(amount=900_000), inputs(currency="JPY")):
            stricter = strictness(after, given) - strictness(before, given)
            assert stricter >= 0 if effect == "tighter" else stricter <= 0


def test_control_a_wrong_mark_is_noticed():
    with pytest.raises(AssertionError):
        test_what_is_marked_is_so_whatever_the_call("then: allow", "then: deny", "looser")
