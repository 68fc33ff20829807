"""Logs of every size in tiles, through the real writer, for verifiers that nobody here wrote."""

import shutil

import pytest

from remit.audit import export_tiles
from tests.audit.tiny import TinyLog


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Give the folder of a log of this size, made once; a test that damages it takes a copy."""
    made = {}

    def folder(size):
        if size not in made:
            made[size] = tmp_path_factory.mktemp("published") / str(size)
            export_tiles(TinyLog(size), made[size])
        return made[size]

    return folder


@pytest.fixture
def copied(published, tmp_path):
    def folder(size):
        return shutil.copytree(published(size), tmp_path / str(size))

    return folder
