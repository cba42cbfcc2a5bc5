"""What a soak says of memory, descriptors and logs: the largest that is allowed passes, the next larger one does not."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "integration")]

import soak_leaks as leaks  # noqa: E402
from soak_leaks import Held  # noqa: E402

BEFORE = Held(20_000_000, 10, 18)
MOST = int(BEFORE.memory * leaks.MEMORY_FACTOR) + leaks.MEMORY_SLACK


@pytest.mark.parametrize("after, broken", [
    (BEFORE, []),
    (Held(MOST, 10 + leaks.DESCRIPTORS_SLACK, 18), []),
    (Held(MOST + 1, 10, 18), ["memory"]),
    (Held(20_000_000, 11 + leaks.DESCRIPTORS_SLACK, 18), ["descriptors"]),
])
def test_what_is_held(after, broken):
    assert [promise for promise, _ in leaks.check_held(BEFORE, after)] == broken


@pytest.mark.parametrize("own, access, broken", [
    (0, 0, []), (70_000, 600_000, []), (200_000, 0, ["log"]), (0, 700_000, ["log"]),
])
def test_what_is_written(own, access, broken):
    """For 1,000 requests, 10 of them not good, and one fault."""
    assert [promise for promise, _ in leaks.check_logs(own, access, 990, 10, 1)] == broken
