"""How far a document came in a dry run that was refused."""

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason


def describe_verdict(reason: ProblemReason) -> dict[str, str]:
    """Return how far a document came that the filter's side refused for ``reason``."""
    match reason:
        case ProblemReason.SCHEMA_VIOLATION:
            return {"schema": "refused"}
        case ProblemReason.RULE_VIOLATION:
            return {"schema": "passed", "rules": "refused"}
        case _:
            return {}


def add_details(problem: Problem, details: dict[str, object]) -> Problem:
    """Return ``problem`` with further members of its error object."""
    return Problem(
        problem.code,
        problem.reason,
        problem.message,
        {**problem.details, **details},
        problem.headers,
    )
