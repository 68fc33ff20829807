"""docs/policies.md: each policy in it loads, its tests are as expected, and it leaves out no key and no command."""

import re
from pathlib import Path

import pytest

from remit.actions import Catalog
from remit.actions.library import accounts, appointments, payments, plans
from remit.errors import PolicyError
from remit.policies import ActionShape, load, run_cases
from remit.policies.cases import Case, CaseFile, Expect, Given
from remit.policies.policy import KEYS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "policies.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
TESTS = [block for block in BLOCKS if block.startswith("tests:")]
FILES = [block for block in BLOCKS if re.search("^policy:", block, re.MULTILINE)]
PARTS = [block for block in BLOCKS if block not in TESTS and block not in FILES]
HEAD = "policy: fragment\nactions: [refund_payment]\n"
SHAPES = {
    action.name: ActionShape(action.name, action.rules_schema, action.facts_schemas, action.tags)
    for action in Catalog([payments, plans, appointments, accounts]).values()
}


def named(pattern):
    [block] = [block for block in BLOCKS if re.search(pattern, block)]
    return block


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.split("id: ")[1].split()[0].strip(","))
def test_each_part_of_a_policy_loads(part):
    assert load({"part.yaml": HEAD + part}, SHAPES).rulesets


def test_all_files_together_load():
    policies = load({f"{number}.yaml": text for number, text in enumerate(FILES)}, SHAPES)
    assert len(policies.files) == len(FILES) > 7
    assert "common/logged_in" in [rule.name for rule in policies.rules_for("change_plan")]
    assert "shop_b/confirmed" in [rule.name for rule in policies.rules_for("refund_payment", "shop-b")]


def test_control_a_mistake_in_a_block_is_noticed():
    with pytest.raises(PolicyError, match="did you mean `amount`"):
        test_each_part_of_a_policy_loads(PARTS[0].replace("arguments.amount.minor", "arguments.amout.minor"))


def test_the_tests_are_as_expected():
    """Those of the first policy, with what requires a look first, a confirmation, and the limits."""
    sources = {
        "refunds.yaml": FILES[0],
        "look_first.yaml": named("policy: look_first"),
        "fragment.yaml": HEAD + named("id: customer_confirms") + named("id: customer_month"),
    }
    [tests] = TESTS
    found = run_cases(load(sources, SHAPES), {"refunds_test.yaml": tests}, SHAPES)
    assert found.failed == ()
    assert len(found.results) == 6
    assert [
        result.name for result in run_cases(load(sources, SHAPES), {"x": tests.replace("minor: 5001", "minor: 5000")}, SHAPES).failed
    ] == ["finance looks at a large one"]


def test_every_key_is_explained():
    keys = KEYS | {key for model in (CaseFile, Case, Given, Expect) for key in model.model_fields}
    assert {key for key in keys if not re.search(rf"`{key}`|\b{key}:|\.{key}`", TEXT)} == set()


def test_every_command_on_policies_is_named():
    from remit.cli.policies import commands

    names = [command.name for command in commands.registered_commands]
    assert "test" in names
    assert [name for name in names if f"remit policy {name}" not in TEXT] == []
