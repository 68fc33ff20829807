"""Decide what is allowed: policies as data, checked when they are loaded, evaluated so that only a clear yes allows."""

from .check import Check, Notice, check
from .decide import decide
from .decision import Decision, EvaluationError, Match, Requirement, Then
from .expression import Expression, compile_expression
from .facts import ActionShape, Inputs
from .loader import load
from .rules import Policies, Rule

__all__ = [
    "ActionShape",
    "Check",
    "Decision",
    "EvaluationError",
    "Expression",
    "Inputs",
    "Match",
    "Notice",
    "Policies",
    "Requirement",
    "Rule",
    "Then",
    "check",
    "compile_expression",
    "decide",
    "load",
]
