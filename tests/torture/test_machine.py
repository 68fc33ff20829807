"""What takes more of the machine than `make test` may ask for: a file system that is full, and a disk that reports errors when it is flushed.

It is collected by `make torture` alone, which asks for the tools: where one is missing, that is an error.
"""

import shutil
import subprocess

import pytest

from tests.torture.killing import worker
from tests.torture.test_disk import always

ROOM = "32m"


class ToolMissing(Exception):
    """This machine lacks what the full torture needs."""


def tool(name, what):
    if (found := shutil.which(name)) is None:
        raise ToolMissing(f"{name} is not installed; the full torture needs it for {what}")
    return found


@pytest.fixture
def small(tmp_path):
    """A file system of its own, with little room."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = [tool("mount", "a small file system"), "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolMissing(f"a small file system can't be mounted; run the full torture as root: {done.stderr.strip()}")
    yield folder
    subprocess.run([tool("umount", "a small file system"), "-l", str(folder)], check=True)


@pytest.fixture
def failing():
    """Make a worker in which every flush from the given one of each thread fails."""
    strace = tool("strace", "errors of the disk")

    def make(first):
        inject = ["-e", "trace=fsync,fdatasync", "-e", f"inject=fsync,fdatasync:error=EIO:when={first}+"]
        return worker(strace, "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", *inject)

    return make


@pytest.mark.timeout(600)
async def test_when_the_file_system_is_full_nothing_is_done_that_is_not_written(place, lives, small):
    limits = [{"full": str(small), "leave": room} for room in range(0, 800_000, 40_000)]
    refused = await always(place, lives, "tmpfs", limits, folder=small)
    assert refused[0] and len(set(refused)) > 2, f"the room ended at one place only: {refused}"


@pytest.mark.timeout(600)
async def test_when_flushes_fail_nothing_is_done_that_is_not_written(place, failing):
    refused = []
    for first in range(1, 13):
        with failing(first) as lives:
            refused += await always(place, lives, "fsync fails", [{"injected": True}])
    assert any(refused) and len(set(refused)) > 2, f"flushes failed at one place only: {refused}"
