"""A program with named pipes: a shell that writes to them."""

import errno
import os
import select
import tempfile
from pathlib import Path

import pytest

from drivers import piped_program
from drivers.errors import DeviceError
from drivers.piped_program import ERRORS, PipedProgram


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def shell(script, *pipes):
    return PipedProgram(lambda folder: ["sh", "-c", f"cd {folder}; {script}"], pipes)


def everything(program):
    """All that it writes until its end."""
    told = {}
    while not program.ended:
        select.select([program], [], [])
        for pipe, data in program.fetch():
            told[pipe] = told.get(pipe, b"") + data
    program.close()
    return told


def test_each_pipe_has_its_own_bytes_and_the_errors_are_one_more():
    script = "for n in 1 2 3; do echo a$n >&4; echo b$n >&5; done; echo oh dear >&2"
    program = shell(f"exec 4>one 5>two; {script}", "one", "two")
    assert everything(program) == {
        "one": b"a1\na2\na3\n",
        "two": b"b1\nb2\nb3\n",
        ERRORS: b"oh dear\n",
    }


def test_the_end_of_one_that_never_opens_its_pipes_is_told():
    assert everything(shell("exit 1", "one")) == {}


def test_nothing_of_what_it_wrote_before_its_end_is_missing():
    script = "head -c 3000000 /dev/zero > one; echo done >&2"
    told = everything(shell(script, "one"))
    assert len(told["one"]) == 3_000_000
    assert told[ERRORS] == b"done\n"


def test_pipes_that_may_not_be_so_large_will_do(monkeypatch):
    def refuses(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(piped_program.fcntl, "fcntl", refuses)
    assert everything(shell("echo a > one", "one")) == {"one": b"a\n"}


def test_one_that_cannot_be_started_leaves_nothing_behind(folder):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(DeviceError, match="/nowhere/program does not start: No such file") as told:
        PipedProgram(lambda _: ["/nowhere/program"], ["one"])
    assert told.value.errno == errno.ENOENT
    assert list(folder.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("script", ["exec sleep 1000", "while echo more > one; do :; done"])
def test_it_ends_as_by_ctrl_c(script, folder):
    program = shell(f"echo ready >&2; {script}", "one")
    select.select([program], [], [])
    program.close()
    assert list(folder.iterdir()) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_one_that_ignores_that_is_ended_by_force(monkeypatch):
    monkeypatch.setattr(piped_program, "_PATIENCE_S", 0.05)
    program = shell("trap '' INT; echo ready >&2; exec sleep 1000", "one")
    select.select([program], [], [])
    program.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_ctrl_c_at_the_terminal_is_not_for_it():
    program = shell("echo $$ >&2; exec sleep 1000")
    select.select([program], [], [])
    ((_, data),) = program.fetch()
    assert os.getpgid(int(data)) != os.getpgrp()
    program.close()
