"""The runtime is killed a hundred times in the middle of refunds, at a provider that also loses answers. Nothing is paid twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from remit.audit import State
from remit.sandbox.faults import Fault
from remit.sandbox.payments import PaymentSandbox
from tests.runtime.kill_worker import PAYMENTS

KILLS = int(os.environ.get("REMIT_KILLS", "100"))
POLICY = """
policy: refunds
actions: [refund_payment]
rules:
  - id: any
    when: arguments.amount.currency == "EUR" && arguments.amount.minor <= 100
    then: allow
"""


def until_written(sandbox: PaymentSandbox, *, beyond: int) -> None:
    """Wait for the next writing request, but not long: perhaps there is nothing left to do."""
    for _ in range(30):
        if len(sandbox.written()) > beyond:
            return
        time.sleep(0.005)


def live_and_die(folder: Path, variant: str, kills: int) -> tuple[Counter[str], list[str]]:
    """Let a worker live and be killed, then live to the end; gives the refunds that the provider made, by payment."""
    (folder / "policies").mkdir()
    (folder / "policies" / "refunds.yaml").write_text(POLICY)
    with PaymentSandbox() as sandbox:
        customer = sandbox.charging.create_customer(name="Kay")["id"]
        payments = [sandbox.charging.create_payment(amount=5000, currency="eur", customer=customer)["id"] for _ in range(PAYMENTS)]
        (folder / "payments").write_text("\n".join([customer, *payments]))
        command = [sys.executable, str(Path(__file__).with_name("kill_worker.py")), str(folder), sandbox.url, variant]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdin and worker.stdout
            for number in range(kills):
                if number % 4 == 0:
                    sandbox.order(random.choice([Fault.ANSWER_LOST, Fault.ERROR_AFTER, Fault.TOO_MANY, Fault.DROPPED]), seconds=0.05)
                written = len(sandbox.written())
                print("life", file=worker.stdin, flush=True)
                pid = int(worker.stdout.readline())
                assert worker.stdout.readline() == "begun\n"
                if number % 2:  # every other life dies around an effect, the others wherever they are
                    until_written(sandbox, beyond=written)
                time.sleep(random.uniform(0.002, 0.060))
                os.kill(pid, signal.SIGKILL)
                print("ended", file=worker.stdin, flush=True)
                worker.stdout.readline()
            print("last\nended", file=worker.stdin, flush=True)
            worker.stdout.readline()
            assert worker.stdout.readline() == "begun\n"
            assert worker.stdout.readline() == "0\n"
            worker.stdin.close()
        return Counter(entry.about for entry in sandbox.ledger() if entry.effect == "refund"), payments


@pytest.mark.timeout(300)
async def test_a_hundred_kills_pay_nobody_twice_and_leave_nobody_out(tmp_path):
    refunds, payments = live_and_die(tmp_path, "remit", KILLS)

    assert max(refunds.values()) == 1, f"paid twice: {[name for name, count in refunds.items() if count > 1]}"
    from remit import Runtime
    from remit.actions.library.payments import refund_payment
    from remit.actions.library.stripe import Stripe

    async with Stripe("sk_test_kill", api_base="http://127.0.0.1:1") as connector:
        runtime = Runtime([refund_payment], policies=tmp_path / "policies", database=tmp_path / "remit.db", resources=[connector])
        async with runtime:
            calls = await runtime.calls(most=10_000)
            report = await runtime.verify()
            views = [await runtime.view(call.id) for call in calls if call.state is State.SUCCEEDED]
    assert report.ok, report.findings
    assert sorted(view.arguments["payment_id"] for view in views) == sorted(refunds), "the log and the provider's ledger agree"
    assert sum(call.attempt > 1 for call in calls) >= KILLS / 20, "the kills did not hit"
    assert {call.state for call in calls} <= {State.SUCCEEDED, State.FAILED}, "nothing is left open"
    assert set(refunds) == set(payments), "everybody who asked at the end was paid"


@pytest.mark.timeout(300)
def test_control_a_naive_variant_pays_twice(tmp_path):
    refunds, _ = live_and_die(tmp_path, "naive", KILLS // 2)

    assert max(refunds.values()) > 1, "the kills did not hit: this test would not notice a double refund"
