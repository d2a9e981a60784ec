"""How many faults were tried and how many survived: the tests marked `faults(kind, count)`, summed up beneath pytest's own."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each marked test's reports tell its kind and how many faults it tries: one, unless it says otherwise."""
    for item in items:
        if marker := item.get_closest_marker("faults"):
            kind, count = (*marker.args, 1)[:2]
            item.user_properties.append(("faults", (kind, count)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table of kinds; a test that failed survived none of its faults, one that was skipped tried none."""
    found: dict[str, tuple[str, int, bool]] = {}
    for outcome in ("passed", "failed", "error"):  # in this order: who passed and then could not clean up has failed
        for report in terminalreporter.getreports(outcome):
            for name, value in getattr(report, "user_properties", ()):
                if name == "faults":
                    found[report.nodeid] = (*value, outcome == "passed")
    if not found:
        return
    tried, survived = Counter[str](), Counter[str]()
    for kind, count, passed in found.values():
        tried[kind] += count
        survived[kind] += count * passed
    terminalreporter.section("faults")
    for kind, count in sorted(tried.items()):
        terminalreporter.line(f"| {kind} | {count:,} tried | {survived[kind]:,} survived |")
    terminalreporter.line(f"{tried.total():,} faults tried, {survived.total():,} survived.")
