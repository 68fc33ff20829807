"""Every mistake in a policy file is refused at its place: file, line, column, and a caret below it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import PolicyError
from remit.policies import check, load
from remit.policies.document import MAX_FILE, read_document
from tests.policies.shop import REFUND, SHAPES

TAGGED = SHAPES | {"credit_customer": replace(REFUND, name="credit_customer", tags=frozenset({"money"}))}

# In each text `§` marks the place that the error must point at; it is taken out before loading.
HEAD = "policy: refunds\nactions: [refund_payment]\nrules:\n"
RULE = HEAD + "  - id: a\n    then: allow\n"
LIMIT = RULE + "limits: [{id: l, "
REPLACED = {
    "an unknown key": (HEAD + "  - id: a\n    §whne: true\n    then: allow\n", "unknown key `whne`; did you mean `when`?"),
    "an unknown key of the file": (RULE + "§owner: me\n", "unknown key `owner`"),
    "an unknown key in a clause": (HEAD + "  - {id: a, then: require_approval, approval: {by: x, §role: y}}\n", "unknown key `role`"),
    "a key given twice": (HEAD + "  - id: a\n    then: allow\n    §then: deny\n", "`then` is given twice"),
    "a rule given twice": (RULE + "  - id: §a\n    then: deny\n", "`a` is given twice"),
    "an action given twice": (RULE.replace("[refund_payment]", "[refund_payment, §refund_payment]"), "`refund_payment` is given twice"),
    "a missing key": (HEAD + "  - §id: a\n    when: 'true'\n", "`then` is missing"),
    "nothing said": ("§policy: refunds\nactions: [refund_payment]\n", "it says nothing: write `rules`"),
    "an empty list of rules": ("policy: refunds\nactions: [refund_payment]\nrules: §[]\n", "`rules`: List should have at least 1 item"),
    "an unknown action": (
        "policy: refunds\nactions: [§refund_paymnt]\nrules: [{id: a, then: allow}]\n",
        "there is no action `refund_paymnt`; did you mean",
    ),
    "an unknown effect": (
        HEAD + "  - {id: a, then: §permit}\n",
        "must be one of allow, deny, require_confirmation, require_step_up, require_approval",
    ),
    "an empty condition": (HEAD + "  - id: a\n    when:§\n    then: allow\n", "nothing stands here: write a value, or leave the key out"),
    "an overlay for nobody yet": (RULE + "tenant:§\n", "nothing stands here"),
    "a limit of nothing yet": (LIMIT + "measure: §, window: 1h, at_most: 5}]\n", "nothing stands here"),
    "an overlay for a folded name": (RULE.replace("allow", "deny") + "tenant: §>\n  shop-b\n", "a tenant's name has no blanks around it"),
    "an overlay for a blank": (RULE.replace("allow", "deny") + "tenant: §' shop-b'\n", "a tenant's name has no blanks around it"),
    "a definition that closes what is around it": (RULE + "define: {a: true§) || (true}\n", "`a` is no expression by itself"),
    "a definition that is not closed": (RULE + "define: {a: 'size§(subject.id'}\n", "`a` is no expression by itself"),
    "a definition that closes another bracket": (RULE + "define: {a: '[1§)'}\n", "`a` is no expression by itself"),
    "a text in a definition that is not closed": (RULE + "define: {a: 'subject.id == §\"x'}\n", "`a` is no expression by itself"),
    "a number for a condition": (HEAD + "  - {id: a, when: §1, then: allow}\n", "`when`: Input should be a valid string"),
    "an approval that nobody gives": (HEAD + "  - §id: a\n    then: require_approval\n", "`approval` says who approves"),
    "an approval of a deny": (HEAD + "  - §id: a\n    then: deny\n    approval: {by: finance}\n", "`approval` says who approves"),
    "a time without unit": (HEAD + "  - {id: a, then: require_approval, approval: {by: x, within: §four}}\n", "write a number and a unit"),
    "a time that never ends": (
        HEAD + "  - {id: a, then: require_approval, approval: {by: x, within: §91d}}\n",
        "write a number and a unit",
    ),
    "no time": (HEAD + "  - {id: a, then: require_approval, approval: {by: x, within: §0h}}\n", "write a number and a unit"),
    "no vote": (HEAD + "  - {id: a, then: require_approval, approval: {by: x, votes: §0}}\n", "`votes`: Input should be greater"),
    "text for a number": (
        HEAD + "  - {id: a, then: require_approval, approval: {by: x, votes: §'1'}}\n",
        "`votes`: Input should be a valid integer",
    ),
    "a bad name": (RULE.replace("refunds", "§Refunds"), "`policy`: String should match pattern"),
    "a number for a text": (HEAD + "  - {id: a, then: deny, say: §5}\n", "`say`: Input should be a valid string"),
    "a list for a mapping": (HEAD + "  - §[a, b]\n", "`rules` must be a mapping"),
    "a text for the file": ("§refunds\n", "`the file` must be a mapping"),
    "an escalation that comes too late": (
        HEAD + "  - {id: a, then: require_approval, approval: §{by: x, within: 1h, escalate: {after: 1h, to: y}}}\n",
        "`escalate` comes too late: `after` must be shorter than `within`, which is 1h",
    ),
    "an escalation to nobody": (
        HEAD + "  - {id: a, then: require_approval, approval: {by: x, escalate: §{after: 1h}}}\n",
        "`to` is missing",
    ),
    "a confirmation of a deny": (
        HEAD + "  - §{id: a, then: deny, confirmation: {}}\n",
        "`confirmation` goes with `then: require_confirmation`",
    ),
    "a step-up of an approval": (
        HEAD + "  - §{id: a, then: require_confirmation, step_up: {to: 2}}\n",
        "`step_up` goes with `then: require_step_up`, and only there",
    ),
    "a step-up to nothing": (HEAD + "  - {id: a, then: require_step_up, step_up: {to: §0}}\n", "`to`: Input should be greater"),
    "an unknown tag": (
        'policy: refunds\nactions: [§"#mony"]\nrules: [{id: a, then: allow}]\n',
        "there is no tag `#mony`; did you mean `#money`?",
    ),
    "an unknown prerequisite": (
        RULE + "requires: [cancel_order, §cancel_ordr]\n",
        "there is no action `cancel_ordr`; did you mean `cancel_order`?",
    ),
    "a tag as prerequisite": (RULE + 'requires: [§"#money"]\n', "there is no tag `#money`"),
    "a prerequisite given twice": (RULE + "requires: [cancel_order, §cancel_order]\n", "`cancel_order` is given twice"),
    "no prerequisite": (RULE + "requires: §[]\n", "`requires`: List should have at least 1 item"),
    "an unknown shared file": (RULE + "include: [§common]\n", "there is no shared file `common`"),
    "a file that includes itself": (RULE + "include: [§refunds]\n", "there is no shared file `refunds`"),
    "a shared file that nobody includes": (
        "policy: §common\nrules: [{id: a, then: deny}]\n",
        "`common` names no `actions`, and no file includes it",
    ),
    "a shared file that includes": (
        "§policy: common\ninclude: [other]\nrules: [{id: a, then: deny}]\n",
        "a file without `actions` is shared, and can't `include` another",
    ),
    "a definition in capitals": (RULE + "define: {§Large: 'true'}\n", "`Large`: String should match pattern"),
    "a definition of an input": (RULE + "define: {§facts: 'true'}\n", "`facts` has a meaning in expressions already: take another name"),
    "a definition of a word of CEL": (RULE + "define: {§true: 'false'}\n", "`true` has a meaning in expressions already"),
    "a definition by a later one": (
        RULE + "define: {a: '!§b', b: 'true'}\n",
        "`b` is not defined above: a definition may use only those before it",
    ),
    "a definition by itself": (RULE + "define: {a: true && §a}\n", "`a` is not defined above"),
    "a list for a definition": (RULE + "define: {a: §[true]}\n", "`a`: Input should be a valid string"),
    "a definition that grows beyond measure": (
        RULE + "define:\n  a: " + "true && " * 400 + "true\n  b: a && a§ && a\n",
        "longer than 4,096 characters with what `a` stands for: split it",
    ),
    "a mistake in a definition": (
        HEAD
        + "  - {id: a, when: large || small, then: allow}\ndefine:\n  small: true\n  large: |\n    true &&\n      facts.payment.§dispute\n",
        "`facts.payment` has no field `dispute`",
    ),
    "a mistake in a definition of a definition": (
        HEAD + "  - {id: a, when: most, then: allow}\ndefine: {large: facts.payment.§dispute, most: large && true}\n",
        "`facts.payment` has no field `dispute`",
    ),
    "a mistake in the use of a definition": (
        HEAD + "  - {id: a, when: true && large §> 5, then: allow}\ndefine: {large: 1 < 2}\n",
        "`>` can't take (bool, int)",
    ),
    "a definition of the wrong type": (HEAD + "  - {id: a, when: §large, then: allow}\ndefine: {large: '5'}\n", "must give bool, not int"),
    "a misspelt definition": (
        HEAD + "  - {id: a, when: §larg, then: allow}\ndefine: {large: 'true'}\n",
        "unknown name `larg`; did you mean `large`?",
    ),
    "an overlay that allows": (
        "policy: b\ntenant: shop-b\nactions: [refund_payment]\nrules: [{id: a, then: §allow}]\n",
        "an overlay may hold anything but `allow`",
    ),
    "an overlay of nothing": (
        "§policy: b\ntenant: shop-b\nrules: [{id: a, then: deny}]\n",
        "an overlay says to which `actions` it applies",
    ),
    "a rule and a limit of one name": (RULE + "limits: [{id: §a, window: 1d, at_most: 5}]\n", "`a` is given twice"),
    "a limit without window": (RULE + "limits: [§{id: l, at_most: 5}]\n", "`window` is missing"),
    "a window of zero": (LIMIT + "window: §0d, at_most: 5}]\n", "write a number and a unit, such as 15m, 24h or 30d, from 1m to 366d"),
    "a window of a second": (LIMIT + "window: §59s, at_most: 5}]\n", "write a number and a unit, such as 15m, 24h or 30d, from 1m to 366d"),
    "a window of years": (LIMIT + "window: §367d, at_most: 5}]\n", "write a number and a unit"),
    "less than nothing": (LIMIT + "window: 1d, at_most: §-1}]\n", "`at_most`: Input should be greater than or equal to 0"),
    "more than a decision could say": (LIMIT + f"window: 1d, at_most: §{2**53}}}]\n", "`at_most`: Input should be less than or equal to"),
    "a decimal": (LIMIT + "window: 1d, at_most: §5.5}]\n", "`at_most`: Input should be a valid integer"),
    "beyond a limit, allow": (
        LIMIT + "window: 1d, at_most: 5, beyond: §allow}]\n",
        "must be one of deny, require_approval, require_step_up",
    ),
    "beyond a limit, an approval that nobody gives": (
        RULE + "limits: [§{id: l, window: 1d, at_most: 5, beyond: require_approval}]\n",
        "`approval` says who approves: it goes with `beyond: require_approval`, and only there",
    ),
    "beyond a limit, a stray step-up": (
        RULE + "limits: [§{id: l, window: 1d, at_most: 5, step_up: {to: 2}}]\n",
        "`step_up` goes with `beyond: require_step_up`, and only there",
    ),
    "a currency that is none": (
        LIMIT + "measure: arguments.amount, currency: §euro, window: 1d, at_most: 5}]\n",
        "write the three letters",
    ),
    "a currency of calls": (RULE + "limits: [§{id: l, currency: EUR, window: 1d, at_most: 5}]\n", "`currency` goes with `measure`"),
    "a sum of distinct values": (
        RULE + "limits: [§{id: l, measure: '1', distinct: subject.id, window: 1d, at_most: 5}]\n",
        "either `measure` sums or `distinct` counts values",
    ),
    "money without its currency in a limit": (
        LIMIT + "measure: §arguments.amount, window: 1d, at_most: 5}]\n",
        "must give int, not money: name the limit's `currency`",
    ),
    "a currency of what is no money": (
        LIMIT + "measure: §size(subject.id), currency: EUR, window: 1d, at_most: 5}]\n",
        "must give money, not int: only money has a `currency`",
    ),
    "minor units without their currency": (
        LIMIT + "measure: arguments.amount§.minor, window: 1d, at_most: 5}]\n",
        "`arguments.amount.minor` says nothing without its currency",
    ),
    "a measure that is text": (LIMIT + "measure: §subject.id, window: 1d, at_most: 5}]\n", "must give int, not string"),
    "a measure that reads nothing": (LIMIT + "measure: arguments.§sum, window: 1d, at_most: 5}]\n", "`arguments` has no field `sum`"),
    "a measure that is a list": (LIMIT + "measure: §[a], window: 1d, at_most: 5}]\n", "write an expression, or one for each action"),
    "a measure of no action": (LIMIT + "measure: §{}, window: 1d, at_most: 5}]\n", "write an expression, or one for each action"),
    "a measure of another action": (
        LIMIT + "measure: {refund_payment: '1', §cancel_order: '1'}, window: 1d, at_most: 5}]\n",
        "no action `cancel_order` is named here",
    ),
    "a measure that leaves one action out": (
        "policy: both\nactions: [cancel_order, refund_payment]\nlimits: [{id: l, §measure: {refund_payment: '1'}, window: 1d, at_most: 5}]\n",
        "`measure` has no expression for `cancel_order`",
    ),
    "a key that is an object": (
        LIMIT + "per: §arguments.amount, window: 1d, at_most: 5}]\n",
        "must give a text, an int or a bool, not money",
    ),
    "a key that is a time": (LIMIT + "per: §now, window: 1d, at_most: 5}]\n", "must give a text, an int or a bool, not timestamp"),
    "a distinct object": (LIMIT + "distinct: §subject, window: 1d, at_most: 5}]\n", "must give a text, an int or a bool, not object"),
    "an unknown key of a limit": (
        LIMIT + "window: 1d, at_most: 5, windw: 1d}]\n".replace("windw", "§windw"),
        "unknown key `windw`; did you mean `window`?",
    ),
    "an anchor": (HEAD + "  - §&rule {id: a, then: allow}\n", "anchors and aliases are not taken"),
    "an alias": ("policy: §*x\n", "anchors and aliases are not taken"),
    "a tagged value": ("policy: §!!python/name:os.system refunds\n", "tags such as"),
    "a tag of YAML's own": (HEAD + "  - {id: a, then: deny, say: §!!str 5}\n", "tags such as"),
    "a merge key": (HEAD + "  - {id: a, then: allow, §<<: {}}\n", "unknown key `<<`"),
    "a key that is no word": (HEAD + "  - {id: a, then: allow, ? §[a] : b}\n", "a key must be a plain word"),
    "a deep nest": ("a: " + "[" * 15 + "§[" + "]" * 16 + "\n", "nested more than 16 deep"),
    "no YAML": (HEAD + '  - {id: a, when: "x"§y, then: allow}\n', "not YAML: "),
    "two documents": (RULE + "§---\n" + RULE, "not YAML: but found another document"),
    "a tab": ("policy: refunds\n§\tactions: [refund_payment]\n", "not YAML: "),
    "an unclosed quote": ('policy: "refunds§', "not YAML: "),
    "a control character": ("policy: §\x1b[31mrefunds\n", "not YAML: "),
    "an empty file": ("§", "the file is empty"),
    "only a comment": ("§# nothing\n", "the file is empty"),
    "a condition in line": (HEAD + "  - {id: a, when: facts.payment.§dispute, then: allow}\n", "`facts.payment` has no field `dispute`"),
    "a quoted condition": (
        HEAD + '  - id: a\n    when: "subject.id == \\"x\\" && facts.payment.§dispute"\n    then: allow\n',
        "`facts.payment`",
    ),
    "a condition with ''": (
        HEAD + "  - id: a\n    when: 'subject.id == ''x'' && facts.payment.§dispute'\n    then: allow\n",
        "`facts.payment`",
    ),
    "a block condition": (
        HEAD + "  - id: a\n    when: |  # why\n      true &&\n\n        facts.payment.§dispute\n    then: allow\n",
        "`facts.payment`",
    ),
    "a folded condition": (
        HEAD + "  - id: a\n    when: >-\n      true &&\n      facts.payment.§dispute\n    then: allow\n",
        "`facts.payment`",
    ),
    "a plain condition in two lines": (
        HEAD + "  - id: a\n    when: true &&\n      facts.payment.§dispute\n    then: allow\n",
        "`facts.payment`",
    ),
    "a condition after wide characters": (
        HEAD + "  - {id: a, when: '\"ü€😀\" == arguments.§foo', then: allow}\n",
        "`arguments` has no field",
    ),
    "a condition of the wrong type": (HEAD + "  - {id: a, when: §arguments.payment_id, then: allow}\n", "must give bool, not string"),
    "money without currency": (
        HEAD + "  - {id: a, when: arguments.amount§.minor > 5, then: allow}\n",
        "`arguments.amount.minor` says nothing",
    ),
    "a value that is not in the enum": (
        HEAD + "  - {id: a, when: arguments.reason == §'frud', then: allow}\n",
        "`arguments.reason` is never",
    ),
    "a pattern that is not RE2": (
        HEAD + "  - {id: a, when: 'subject.id.matches(§\"(?!a)\")', then: allow}\n",
        "not a pattern that RE2 takes",
    ),
    "a condition that ends early": (HEAD + "  - {id: a, when: true &&§, then: allow}\n", "Syntax error"),
    "a condition too deep": (
        HEAD + f"  - {{id: a, when: §'{'(' * 40}true{')' * 40}', then: allow}}\n".replace("§'", "'§"),
        "too deep or too large",
    ),
    "a pattern that would backtrack, with what only backtracking can do": (
        HEAD + "  - {id: a, when: 'subject.id.matches(§\"(a+)+\\\\1\")', then: allow}\n",
        "not a pattern that RE2 takes",
    ),
    "a condition for one of two": (
        "policy: both\nactions: [refund_payment, cancel_order]\nrules:\n  - {id: a, when: arguments.§payment_id == 'x', then: allow}\n",
        "`arguments` has no field `payment_id` (for cancel_order)",
    ),
}


@pytest.mark.parametrize(("marked", "says"), REPLACED.values(), ids=REPLACED.keys())
def test_a_mistake_is_refused_at_its_place(marked, says):
    at = marked.index("§")
    line, column = marked.count("\n", 0, at) + 1, at - (marked.rfind("\n", 0, at) + 1) + 1
    with pytest.raises(PolicyError) as raised:
        load({"refunds.yaml": marked.replace("§", "")}, TAGGED)
    error = raised.value
    assert error.message.startswith(says)
    assert (error.path, error.line, error.column) == ("refunds.yaml", line, column)
    if error.excerpt:
        shown, caret = error.excerpt.split("\n")
        assert caret == " " * (column - 1) + "^"
        assert shown == "".join(char if char.isprintable() else " " for char in marked.replace("§", "").split("\n")[line - 1]).rstrip()


def test_the_table_would_notice_a_wrong_place():
    # The control: the same file with the mistake one line further down.
    marked, says = REPLACED["an unknown key"]
    with pytest.raises(PolicyError) as raised:
        load({"refunds.yaml": "\n" + marked.replace("§", "")}, SHAPES)
    assert raised.value.message == says
    assert raised.value.line == marked.count("\n", 0, marked.index("§")) + 2


def test_a_file_without_mistake_loads():
    assert load({"refunds.yaml": RULE}, SHAPES).files == ("refunds.yaml",)


def test_all_mistakes_are_found_at_once():
    text = HEAD + "  - {id: a, when: facts.nope, then: allow}\n  - {id: b, when: subject.nope, then: deny}\n"
    found = check({"a.yaml": text, "b.yaml": "policy: other\nactions: [nope]\nrules: [{id: a, then: allow}]\n", "c.yaml": "x: 1"}, SHAPES)
    assert [(problem.path, problem.line) for problem in found.problems] == [
        ("c.yaml", 1), ("c.yaml", 1), ("b.yaml", 2), ("a.yaml", 4), ("a.yaml", 5),
    ]  # fmt: skip
    assert not found.ok
    with pytest.raises(PolicyError) as raised:
        load({"a.yaml": text}, SHAPES)
    assert [(error.line, len(error.others)) for error in (raised.value, *raised.value.others)] == [(4, 1), (5, 0)]


def test_two_files_may_not_bear_one_name():
    with pytest.raises(PolicyError, match=r"^b\.yaml:1:9: the policy `refunds` is already in a\.yaml"):
        load({"a.yaml": RULE, "b.yaml": RULE}, SHAPES)


def test_a_huge_file_and_a_bomb_are_refused_at_once():
    for size in (MAX_FILE + 1, 10_000_000 - len(RULE)):
        with pytest.raises(PolicyError, match=r"^a\.yaml:1:1: the file is larger than 1,048,576 characters: split it") as raised:
            read_document("a.yaml", RULE + "#" * size)
        assert (raised.value.path, raised.value.line, raised.value.column) == ("a.yaml", 1, 1)
        with pytest.raises(PolicyError, match="larger than"):
            load({"a.yaml": RULE + "#" * size}, SHAPES)
    with pytest.raises(PolicyError, match="together are larger"):
        load({f"{at}.yaml": "#" * MAX_FILE for at in range(9)}, SHAPES)
    with pytest.raises(PolicyError, match="nested more than"):
        load({"a.yaml": "[" * 500_000}, SHAPES)
    bomb = "a: &a [x, x]\n" + "".join(f"{chr(98 + at)}: &{chr(98 + at)} [*{chr(97 + at)}, *{chr(97 + at)}]\n" for at in range(20))
    with pytest.raises(PolicyError, match="anchors and aliases"):
        load({"a.yaml": bomb}, SHAPES)


def test_a_condition_a_hundred_deep_is_refused_at_its_place():
    for deep in ("(" * 100 + "true" + ")" * 100, "(true && " * 100 + "true" + ")" * 100, "[" * 100 + "]" * 100 + " == []"):
        with pytest.raises(PolicyError, match=r"^a\.yaml:4:20: too deep or too large: at most 32 levels"):
            load({"a.yaml": HEAD + f"  - {{id: a, when: '{deep}', then: allow}}\n"}, SHAPES)


def test_what_cel_takes_but_can_not_be_read_back_is_refused_at_its_place():
    deep = "[1].exists(a, " * 26 + "true" + ")" * 26
    with pytest.raises(PolicyError, match=r"^a\.yaml:4:20: too deep or too large"):
        load({"a.yaml": HEAD + f"  - {{id: a, when: '{deep}', then: allow}}\n"}, SHAPES)


def test_quotes_that_never_end_are_read_once():
    # Looked for anew behind each of them, they would take minutes; only that it ends is asserted.
    endless = "'\"" + '\\"' * 250_000 + "'"
    for text in (HEAD + f"  - {{id: a, when: {endless}, then: allow}}\ndefine: {{b: 'true'}}\n", RULE + f"define: {{b: {endless}}}\n"):
        with pytest.raises(PolicyError, match="longer than 4,096 characters"):
            load({"a.yaml": text}, SHAPES)


def test_twenty_thousand_mistakes_are_told_a_hundred_at_a_time():
    text = "policy: a\nactions:\n" + "".join(f"  - refund_pay{at}\n" for at in range(20_000)) + "rules: [{id: a, then: allow}]\n"
    problems = check({"a.yaml": text}, SHAPES).problems
    assert [(problem.line, problem.column) for problem in problems] == [(line, 5) for line in range(3, 103)]


def test_a_long_line_is_shown_around_the_mistake():
    text = HEAD + f"  - {{id: a, when: '{'true && ' * 100}facts.nope', then: allow}}\n"
    with pytest.raises(PolicyError) as raised:
        load({"a.yaml": text}, SHAPES)
    shown, caret = raised.value.excerpt.split("\n")
    assert len(shown) <= 120
    assert shown[len(caret) - 1 :].startswith("nope")


@pytest.mark.parametrize("text", ["\ufeff" + RULE, RULE.replace("\n", "\r\n"), RULE.replace("then: allow", "then: allow # yes")])
def test_what_editors_write_is_read(text):
    assert load({"a.yaml": text}, SHAPES).rules_for("refund_payment")


HIDDEN = HEAD + "  - id: a\n    then: deny #§  - {id: z, then: allow}\n"


@pytest.mark.parametrize("unseen", ["\r", "\x85", "\u2028", "\u2029", "\u202e", "\u2066"])
def test_what_would_hide_a_rule_behind_a_comment_is_refused_at_its_place(unseen):
    with pytest.raises(PolicyError, match=rf"^a\.yaml:5:17: the character U\+{ord(unseen):04X} makes the file read other than it looks"):
        load({"a.yaml": HIDDEN.replace("§", unseen)}, SHAPES)
    assert [rule.name for rule in load({"a.yaml": HIDDEN.replace("§", " ")}, SHAPES).rules_for("refund_payment")] == ["refunds/a"]


def test_words_that_yaml_once_took_for_something_else_are_text():
    text = HEAD + "  - {id: no, then: deny, reason: on, say: 2026-01-01}\n  - {id: y, then: deny, say: 1:30, reason: 0x1f}\n"
    rules = load({"a.yaml": text}, SHAPES).rules_for("refund_payment")
    assert [(rule.name, rule.match.reason, rule.say) for rule in rules] == [
        ("refunds/no", "on", "2026-01-01"),
        ("refunds/y", "0x1f", "1:30"),
    ]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1), st.sampled_from(["'", '"', "|", ">"]))
def test_every_character_of_a_scalar_is_found_in_the_file(text, style):
    text = " ".join(text.split())
    written = {
        "'": "'" + text.replace("'", "''") + "'",
        '"': '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace(" ", "\n    ") + '"',
        "|": "|\n  " + text,
        ">": ">\n  " + text.replace(" ", "\n  "),
    }[style]
    if not text:
        return
    source = f"first: 1\nkey: {written}\n"
    try:
        passage = read_document("a.yaml", source).passage(("key",), "")
    except PolicyError:  # what YAML itself refuses
        return
    assert passage.text.rstrip("\n") == text
    for char, place in zip(text, passage.places, strict=False):
        assert source[place] == char or char == " " or (char in '\\"' and source[place] == "\\")


@given(st.text(max_size=60), st.sampled_from([HEAD, "policy: refunds\n", ""]))
def test_any_text_loads_or_is_refused_with_a_place(text, head):
    try:
        load({"a.yaml": head + text}, SHAPES)
    except PolicyError as error:
        assert error.path == "a.yaml"
        assert error.line >= 1
