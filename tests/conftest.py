"""Settings for all tests."""

import os

import pytest
from hypothesis import settings

# The same examples in every run, so that a change is judged by itself and not by luck. New examples are
# searched with `HYPOTHESIS_PROFILE=search make test`; what they find becomes an `@example`.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: begun last, one of them would keep a single worker busy at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
