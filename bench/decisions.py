"""How long a decision takes with 1, 10 and 100 rules that all look at the call, beside cedarpy and one bare CEL evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from cel_expr_python import cel

from remit.actions import Catalog
from remit.policies import Inputs, decide, load
from remit.runtime.control import shapes

from .counterpart import Cedar
from .program import Unavailable
from .sampling import Measurement, Sizes, quantile
from .workload import refund_payment, write_policies

RULES = (1, 10, 100)
TARGETS = {10: 100.0, 100: 1_000.0}
INPUTS = Inputs(
    action="refund_payment",
    arguments={"payment_id": "pay_1", "amount": {"currency": "EUR", "minor": 1250}, "reason": "it came broken"},
    facts={},
    subject={"id": "customer_1", "assurance": 2, "anonymous": False},
    principal={"id": "agent", "kind": "agent"},
    session={"tenant": "default", "conversation": "conversation_1", "channel": "chat", "model": "model-1"},
    now="2030-01-07T09:00:00.000000Z",
)


def bare_evaluation() -> Callable[[], Any]:
    """Give one condition in plain CEL, with its inputs bound anew each time."""
    environment = cel.NewEnv(variables={"arguments": cel.Type("map<string,dyn>")})
    condition = environment.compile('arguments.amount.currency == "EUR" && arguments.amount.minor <= 5000')
    return lambda: condition.eval(environment.Activation({"arguments": INPUTS.arguments})).value()


def times(work: Callable[[], Any], count: int) -> list[float]:
    """Give the microseconds of each run."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter_ns()
        work()
        taken.append((time.perf_counter_ns() - begun) / 1e3)
    return taken


async def measure(sizes: Sizes, folder: Path, *, others: bool = True) -> Measurement:
    """Decide the same call by small and large policies in turn."""
    measured = Measurement("One decision, inputs bound anew")
    known = shapes(Catalog([refund_payment]))
    loaded = {rules: load(write_policies(folder / f"{rules} rules", rules), known) for rules in RULES}
    subjects: dict[str, Callable[[], Any]] = {"one bare CEL evaluation": bare_evaluation()}
    subjects |= {f"{rules} rules": lambda policies=policies: decide(policies, INPUTS) for rules, policies in loaded.items()}
    assert all(decide(policies, INPUTS).allowed for policies in loaded.values())
    assert subjects["one bare CEL evaluation"]() is True
    with ExitStack() as stack:
        cedar: list[Cedar] = []
        try:
            cedar += [stack.enter_context(Cedar())] if others else []
        except Unavailable as error:
            measured.notes.append(f"cedarpy was not measured: {error}")
        taken: dict[str, list[float]] = {
            name: [] for name in (*subjects, *(f"cedarpy 4.12.2, {rules} policies" for rules in RULES if cedar))
        }
        for _ in range(sizes.rounds):
            for name, work in subjects.items():
                taken[name] += await measured.sample(lambda work=work: times(work, sizes.decisions))
            for other in cedar:
                for rules in RULES:
                    run = partial(other.times, rules, sizes.decisions)
                    taken[f"cedarpy 4.12.2, {rules} policies"] += await measured.sample(run, children=[other.process])
    for name, all_of_it in taken.items():
        most = TARGETS.get(int(name.split()[0])) if name[0].isdigit() else None
        p99 = quantile(all_of_it, 0.99)
        measured.add(f"{name}, p50", quantile(all_of_it, 0.5), "µs")
        measured.add(f"{name}, p99", p99, "µs", target=f"≤ {most:,.0f} µs" if most else "", met=p99 <= most if most else None)
    return measured
