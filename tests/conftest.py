"""How the tests are shared out among processes: each folder stays whole.

A folder's tests share servers that are started once for all of them, so splitting it would start
them again in every process. (The marks that xdist has for this are lost with pytest 9.2.)
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


class _ByFolder(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("/")[1]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _ByFolder(config, log)
