"""`remit audit reconcile` as its users run it: against the payment sandbox, and where there is nothing to compare with."""

import os
import subprocess
import sys

import httpx
import pytest

from remit.sandbox.payments import Fault, PaymentSandbox
from tests.cli.conftest import Ended

APP = """
from remit import Runtime
from remit.actions.library import payments
from remit.actions.library.stripe import Stripe

runtime = Runtime([payments], policies="policies", resources=[Stripe("sk_test_any", api_base="{url}")])
"""
POLICY = 'policy: refunds\nactions: [refund_payment]\nrules:\n  - {id: all, when: "true", then: allow}\n'


@pytest.fixture
def sandbox():
    with PaymentSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def remit(tmp_path):
    """Run a command in a process of its own: its end closes the connection to the provider, which the app keeps for good."""
    left = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}

    def run(*arguments):
        command = [sys.executable, "-m", "remit", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=left, capture_output=True, text=True, timeout=60, check=False)
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def payment(sandbox, tmp_path):
    """A payment of cus_…, at a desk of its own that can refund it."""
    (tmp_path / "app.py").write_text(APP.format(url=sandbox.url))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "refunds.yaml").write_text(POLICY)
    customer = sandbox.charging.create_customer(name="Ada")["id"]
    return sandbox.charging.create_payment(amount=5000, currency="eur", customer=customer)


@pytest.fixture
def refunded(remit, payment):
    arguments = [f"--arg=payment_id={payment['id']}", "--arg=amount=10.00 EUR", "--arg=reason=duplicate"]
    asked = remit("call", "refund_payment", *arguments, f"--as-subject={payment['customer']}", "--json")
    assert asked.code == 0
    return asked.document


def test_where_all_agrees_it_says_so_and_ends_with_0(remit, refunded):
    shown = remit("audit", "reconcile", "--since=1h")
    assert (shown.code, shown.err) == (0, "")
    assert "The log and the ledgers agree" in shown.out
    assert remit("audit", "reconcile", "--json").document["agree"] == 1


def test_where_nothing_was_done_it_says_that(remit, payment):
    shown = remit("audit", "reconcile")
    assert (shown.code, "Nothing was done since then" in shown.out) == (0, True)


def test_a_difference_is_told_in_words_and_ends_with_1(remit, refunded, sandbox, payment):
    httpx.post(
        f"{sandbox.url}/v1/refunds", data={"payment_intent": payment["id"], "amount": "500"}, headers={"Authorization": "Bearer sk_test_x"}
    )
    shown = remit("audit", "reconcile")
    assert shown.code == 1
    assert "DIFFER in 1 place" in shown.out and "unknown_to_log" in shown.out and "5.00 EUR" in shown.out
    asked = remit("audit", "reconcile", "--json")
    assert asked.code == 1
    [one] = asked.document["differences"]
    assert (one["code"], one["call"], one["reference"]) == ("unknown_to_log", None, sandbox.ledger()[-1].reference)
    assert remit("audit", "search", "--kind=ledger.reconciled", "--json").document["found"][0]["body"]["found"] == 1
    assert remit("audit", "verify").code == 0


def test_a_provider_that_does_not_answer_ends_with_2_and_says_what_was_not_read(remit, refunded, sandbox):
    sandbox.order(Fault.DROPPED, on="GET /v1/refunds", times=100)
    shown = remit("audit", "reconcile")
    assert shown.code == 2
    assert "could not be read wholly" in shown.out and "Stripe did not answer" in shown.out
    assert remit("audit", "reconcile", "--json").document["complete"] is False


def test_without_a_ledger_it_could_not_be_tried(remit):
    assert remit("init").code == 0
    assert remit("audit", "reconcile").line.startswith("No action here has a ledger to compare with")


@pytest.mark.parametrize("since", ["soon", "2190-01-01", "-3d", ""])
def test_a_time_that_is_none_or_still_to_come_is_refused(remit, payment, since):
    assert remit("audit", "reconcile", f"--since={since}").line


def test_who_compares_must_be_known(remit, payment):
    assert "there is no active person rita" in remit("audit", "reconcile", "--by=rita").line
