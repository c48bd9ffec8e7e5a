from __future__ import annotations

import pytest
from api_harness import Harness


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    made = Harness(tmp_path_factory.mktemp("apiserver"))
    yield made
    made.close()


@pytest.fixture
def http(harness):
    return harness.http
