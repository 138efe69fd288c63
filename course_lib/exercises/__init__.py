"""Exercise checkers: `check("4.2", answer)` prints the state of an answer, `summary(4)` how many are solved."""

from course_lib.exercises.framework import check, summary

__all__ = ["check", "summary"]
