"""Prints, after the exercise tests ran, how many wrong and right answers each checker was tried with."""


def pytest_terminal_summary(terminalreporter) -> None:
    """One line an exercise: kind, wrong answers rejected of those tried, right answers accepted of those tried."""
    counts: dict[str, list[int]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            where, _, rest = report.nodeid.partition("::")
            column = {"test_wrong_answer_is_rejected_for_the_right_reason": 0, "test_right_answer_is_accepted": 2}.get(
                rest.partition("[")[0]
            )
            if where.endswith("test_answers.py") and column is not None:
                number = rest.partition("[")[2].split("-")[1]
                row = counts.setdefault(number, [0, 0, 0, 0])
                row[column + 1] += 1
                row[column] += outcome == "passed"
    if counts:
        terminalreporter.section("answers tried on the checkers")
        for number, (rejected, wrong, accepted, right) in sorted(counts.items(), key=lambda item: _key(item[0])):
            terminalreporter.write_line(
                f"exercise {number:>4}: wrong rejected {rejected:>2} of {wrong:>2}, right accepted {accepted} of {right}"
            )


def _key(number: str) -> list[int]:
    return [int(part) for part in number.split(".")]
