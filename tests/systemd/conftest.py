"""Debian's tools that judge what is installed."""

import os
import shutil

import pytest


@pytest.fixture
def tool():
    """The path of a program; in CI all must be there, elsewhere a missing one skips its test."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            reason = f"{name} is not installed: .ci/run says where it comes from"
            if os.environ.get("CAMMCORDER_REQUIRE_READERS"):
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find
