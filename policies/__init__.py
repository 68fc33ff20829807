"""Decide what is allowed: policies as data, checked when they are loaded, evaluated so that only a clear yes allows."""

from .check import Check, Notice, check
from .decide import decide, measure
from .decision import Decision, Escalation, EvaluationError, Headroom, Match, Requirement, Then
from .expression import Expression, compile_expression
from .facts import ActionShape, Inputs
from .limits import Measured
from .loader import load
from .quorum import Seats, filled
from .rules import Policies, Rule

__all__ = [
    "ActionShape",
    "Check",
    "Decision",
    "Escalation",
    "EvaluationError",
    "Expression",
    "Headroom",
    "Inputs",
    "Match",
    "Measured",
    "Notice",
    "Policies",
    "Requirement",
    "Rule",
    "Seats",
    "Then",
    "check",
    "compile_expression",
    "decide",
    "filled",
    "load",
    "measure",
]
