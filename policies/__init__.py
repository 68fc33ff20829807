"""Decide what is allowed: policies as data, checked when they are loaded, evaluated so that only a clear yes allows."""

from .cases import is_test, read_tests
from .check import Check, Notice, check
from .decide import decide, evaluate, measure, measured_by
from .decision import Decision, Escalation, EvaluationError, Headroom, Match, Requirement, Then
from .explain import Explained, Explanation, explain
from .expression import Expression, compile_expression
from .facts import ActionShape, Inputs
from .limits import Measured
from .loader import load
from .quorum import Seats, filled
from .rules import Evaluated, Policies, Rule
from .testing import Results, run_cases

__all__ = [
    "ActionShape",
    "Check",
    "Decision",
    "Escalation",
    "Evaluated",
    "EvaluationError",
    "Explained",
    "Explanation",
    "Expression",
    "Headroom",
    "Inputs",
    "Match",
    "Measured",
    "Notice",
    "Policies",
    "Requirement",
    "Results",
    "Rule",
    "Seats",
    "Then",
    "check",
    "compile_expression",
    "decide",
    "evaluate",
    "explain",
    "filled",
    "is_test",
    "load",
    "measure",
    "measured_by",
    "read_tests",
    "run_cases",
]
