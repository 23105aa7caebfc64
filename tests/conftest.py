"""How the tests are shared out among processes, and what the failure of one shows.

Each folder stays whole, and the slow ones begin. A folder's tests share servers that are started
once for all of them, so splitting it would start them again in every process. (The marks that
xdist has for this are lost with pytest 9.2.)
"""

from collections.abc import Generator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from dev.stack import Stack

SLOW = ("browser", "edges", "system", "security", "auth", "orders")


class _ByFolder(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("/")[1]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # by number: the slowest folders have few tests
    return _ByFolder(config, log)


@pytest.hookimpl(trylast=True)  # the order within a folder stays random
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        folder = item.nodeid.split("/")[1]
        return SLOW.index(folder) if folder in SLOW else len(SLOW)

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Where a test with a whole system failed, show which parts of it had died or restarted."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Stack):
                report.sections.append(("the stack", value.printed))
    return report
