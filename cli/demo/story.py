"""Play the story to its end, and hold the providers' ledgers against the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...audit import Report
from .agreement import Row, compare, in_calendar, in_mailbox, logged
from .record import Expected, Step
from .scenes import Scene
from .scenes.accounts import password_reset, plan_change
from .scenes.appointments import booked_and_moved, double_booked
from .scenes.failures import answer_lost, killed
from .scenes.refunds import allowed_at_once, asked_again, beyond_the_month, large, repaired, somebody_elses
from .scenes.switches import switched_off
from .stage import Stage, stage
from .telling import Telling

SCENES = (
    Scene("A refund, allowed at once", allowed_at_once),
    Scene("The same asked again", asked_again),
    Scene("Wrong arguments, and the call repaired", repaired),
    Scene("Somebody else's payment", somebody_elses),
    Scene("A large refund", large),
    Scene("More than a month's refunds", beyond_the_month),
    Scene("Refunds, switched off", switched_off),
    Scene("An appointment, booked and moved", booked_and_moved),
    Scene("Two customers, one slot", double_booked),
    Scene("A password reset", password_reset),
    Scene("A change of plan, confirmed by the customer", plan_change),
    Scene("An answer lost at the provider", answer_lost, faults=True),
    Scene("A kill in the middle", killed, faults=True),
)
SKIPPED = "this needs faults to order, and Stripe takes none; without STRIPE_API_KEY the sandbox plays it"


@dataclass(slots=True)
class Story:
    """What was played, and what became of it."""

    provider: str
    steps: list[Step] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    report: Report = field(default_factory=Report)

    @property
    def failed(self) -> list[tuple[str, Expected]]:
        """Give the expectations that were not met, each with its step's title."""
        return [(step.title, wrong) for step in self.steps for wrong in step.failed]

    @property
    def agree(self) -> bool:
        """Whether the log verifies, and says of every effect what its provider says."""
        return bool(self.rows) and self.report.ok and not any(row.wrong for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether everything was as it must be."""
        return self.agree and not self.failed

    def to_json(self) -> dict[str, Any]:
        """Give all of it as one JSON document."""
        rows = [row.to_json() for row in self.rows]
        verdict = {
            "ok": self.ok,
            "agree": self.agree,
            "failed": [{"step": title, "expected": wrong.text, "found": wrong.found} for title, wrong in self.failed],
            "verification": self.report.to_json(),
        }
        return {
            "provider": self.provider,
            "steps": [step.to_json() for step in self.steps],
            "ledger": [row["provider"] for row in rows if row["provider"]],
            "log": [row["log"] for row in rows if row["log"]],
            "differences": [row for row in rows if not row["agree"]],
            "verdict": verdict,
        }


async def tell(folder: Path, key: str | None, teller: Telling, scenes: Sequence[Scene]) -> Story:
    """Play the scenes with a database in `folder`, at the sandbox or, with a test key, at Stripe; then draw the sum."""
    async with stage(folder, key) as set_stage:
        story = Story("Stripe's test mode" if key else "the sandbox")
        teller.begins(set_stage)
        for number, scene in enumerate(scenes, start=1):
            step = Step(scene.title)
            story.steps.append(step)
            if scene.faults and set_stage.account.sandbox is None:
                step.skipped = SKIPPED
            else:
                with teller.playing(scene.title):
                    await _play(scene, set_stage, step)
            teller.played(number, step)
        await _sum_up(story, set_stage)
    return story


async def _play(scene: Scene, set_stage: Stage, step: Step) -> None:
    try:
        await scene.play(set_stage, step)
    except Exception as error:  # noqa: BLE001 - a step that can't go on is a failed expectation, and the sum is drawn all the same
        step.expect("the step is played to its end", f"{type(error).__name__}: {error}", "its end")
    await set_stage.runtime.start()  # whatever the step left behind


async def _sum_up(story: Story, set_stage: Stage) -> None:
    story.report = await set_stage.runtime.verify()
    goods = set_stage.goods
    done = [
        *set_stage.account.effects(goods.payments, [goods.subscription]),
        *in_calendar(set_stage.folder / "calendar.db"),
        *in_mailbox(set_stage.mail.messages),
    ]
    story.rows = compare(done, await logged(set_stage.runtime))
