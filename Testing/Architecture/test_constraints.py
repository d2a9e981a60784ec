"""Every package that `make` installs is pinned, also those that others bring along, and locked by the hash of its file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
OURS = "t1t2translation"
EXTRAS = {"train", "demo", "test", "fuzz", "lint"}


def pins(name: str) -> dict[str, Requirement]:
    """What a constraints file says of each package."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(one.name): one for one in found}


def needed(name: str, extras: Iterable[str] = (), seen: set[tuple[str, str]] | None = None) -> set[str]:
    """Every package that a package needs here, and that those need; of what is not installed, only the name."""
    seen = set() if seen is None else seen
    for extra in ("", *extras):
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            wanted = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue
        for one in wanted:
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                needed(canonicalize_name(one.name), one.extras, seen)
    return {name for name, _ in seen}


def test_everything_that_is_needed_is_pinned_to_one_version():
    pinned = pins("constraints.txt")
    assert needed(OURS, EXTRAS) - pinned.keys() == {OURS}
    assert all(re.fullmatch(r"==[\w.]+", str(one.specifier)) for one in pinned.values())


def test_the_walk_through_what_is_needed_reaches_what_others_bring():
    assert {"torch", "sympy", "mpmath", "pytest", "pluggy"} <= needed(OURS, EXTRAS)


def test_the_environment_that_make_installs_is_the_pinned_one():
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("This environment was not made by `make`.")
    pinned = pins("constraints.txt")
    installed = {canonicalize_name(one.name): one.version for one in distributions()}
    wrong = {name: version for name, version in installed.items() if name in pinned and version not in pinned[name].specifier}
    assert wrong == {}


def test_every_locked_package_has_a_hash_and_the_pinned_version():
    text = (ROOT / "locked.txt").read_text("utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    locked = [re.fullmatch(r"(\S+)==(\S+) +--hash=sha256:[0-9a-f]{64}", line) for line in lines]
    assert all(locked)
    versions = {canonicalize_name(one[1]): Version(one[2]).public for one in locked}
    pinned = pins("constraints.txt")
    assert versions == {name: next(iter(pinned[name].specifier)).version for name in versions}
    assert needed(OURS, {"train", "demo", "test"}) & pinned.keys() <= versions.keys()
