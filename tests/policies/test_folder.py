"""Which files count as policies, and what their digest stands for."""

import pytest

from remit.errors import PolicyError
from remit.policies import load
from tests.policies.shop import SHAPES, document

ALLOW = document("{id: a, then: allow}")


def test_every_yaml_of_a_folder_counts_but_tests_and_what_is_hidden(tmp_path):
    (tmp_path / "money").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "money" / "refunds.yaml").write_text(ALLOW)
    (tmp_path / "orders.yaml").write_text(ALLOW.replace("refunds", "orders"))
    for name in ("refunds_test.yaml", ".#refunds.yaml", ".git/x.yaml", "README.md"):
        (tmp_path / name).write_text("nonsense: [")
    policies = load(tmp_path, SHAPES)
    assert policies.files == ("money/refunds.yaml", "orders.yaml")
    assert [rule.name for rule in policies.rules_for("refund_payment")] == ["orders/a", "refunds/a"]
    assert [(rule.path, rule.line) for rule in policies.rules_for("refund_payment")] == [("orders.yaml", 4), ("money/refunds.yaml", 4)]


def test_a_single_file_may_be_named(tmp_path):
    (tmp_path / "refunds.yaml").write_text(ALLOW)
    assert load(tmp_path / "refunds.yaml", SHAPES).sources == {"refunds.yaml": ALLOW}


def test_the_sources_load_again_to_the_same_digest(tmp_path):
    (tmp_path / "refunds.yaml").write_text(ALLOW)
    policies = load(tmp_path, SHAPES)
    assert load(policies.sources, SHAPES).digest == policies.digest
    assert load({"refunds.yaml": ALLOW + "\n"}, SHAPES).digest != policies.digest
    assert load({"other.yaml": ALLOW}, SHAPES).digest != policies.digest
    assert len(policies.digest) == 64


def test_the_digest_does_not_depend_on_the_order_of_files():
    one, two = ("a.yaml", ALLOW), ("b.yaml", ALLOW.replace("refunds", "b"))
    assert load(dict([one, two]), SHAPES).digest == load(dict([two, one]), SHAPES).digest


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("refunds.yml", ALLOW.encode(), "must end in .yaml"),
        ("refunds.YAML", ALLOW.encode(), "must end in .yaml"),
        ("refunds.Yml", ALLOW.encode(), "must end in .yaml"),
        ("re\udcff.yaml", ALLOW.encode(), "can't be shown"),
        ("refunds.yaml", b"policy: \xff", "can't be read"),
        ("README.md", b"", "no policy file"),
    ],
)
def test_a_folder_that_would_not_mean_what_it_says_is_refused(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PolicyError, match=says):
        load(tmp_path, SHAPES)


def test_a_folder_within_that_would_not_be_looked_into_is_refused(tmp_path, monkeypatch):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "refunds.yaml").write_text(ALLOW)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "stop.yaml").write_text(document("{id: d, then: deny}").replace("refunds", "stop"))
    (tmp_path / "policies" / "shared").symlink_to(tmp_path / "shared")
    with pytest.raises(PolicyError, match="not followed"):
        load(tmp_path / "policies", SHAPES)
    (tmp_path / "policies" / "shared").unlink()
    (tmp_path / "policies" / "stop.yaml").symlink_to(tmp_path / "shared" / "stop.yaml")
    assert load(tmp_path / "policies", SHAPES).files == ("refunds.yaml", "stop.yaml")

    def locked(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.scandir", locked)
    with pytest.raises(PolicyError, match="Permission denied"):
        load(tmp_path / "policies", SHAPES)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PolicyError, match="no such file or folder"):
        load(tmp_path / "nowhere", SHAPES)


def test_no_policies_at_all_deny_everything():
    assert load({}, SHAPES).rules_for("refund_payment") == ()
