"""How the tests are shared out among processes: each folder stays whole.

A folder's tests share servers that are started once for all of them, so splitting it would start
them again in every process.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before the group becomes a part of the test's name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        item.add_marker(pytest.mark.xdist_group(folder))
