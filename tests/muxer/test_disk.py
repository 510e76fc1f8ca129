"""Pieces come to the disk in one, unless they are large."""

import os

import pytest

from muxer.disk import write_pieces

LARGE = 1 << 20


@pytest.fixture
def written(tmp_path, monkeypatch):
    """What `write_pieces` leaves, and the sizes of its writes."""
    real = os.pwrite

    def write(pieces, at=0):
        sizes = []

        def pwrite(fd, data, offset):
            sizes.append(len(data))
            return real(fd, data, offset)

        with (tmp_path / "file").open("w+b") as file:
            with monkeypatch.context() as patch:
                patch.setattr(os, "pwrite", pwrite)
                write_pieces(file.fileno(), pieces, at)
            return file.read(), sizes

    return write


def test_small_pieces_are_one_write(written):
    assert written([b"moov", bytearray(b"trak"), b"", b"mdia"]) == (b"moovtrakmdia", [12])


def test_large_pieces_are_written_as_they_are_and_in_their_order(written):
    pieces = [b"a" * 8, b"b" * LARGE, b"c" * 8, b"d" * 8, bytearray(b"e" * LARGE), b"f" * LARGE]
    data, sizes = written(pieces)
    assert data == b"".join(pieces)
    assert sizes == [8, LARGE, 16, LARGE, LARGE]


def test_many_small_pieces_are_not_all_put_together(written):
    pieces = [bytes([n]) * 1000 for n in range(200)] * 20
    data, sizes = written(pieces, at=10)
    assert data == bytes(10) + b"".join(pieces)
    assert max(sizes) <= LARGE


def test_nothing_is_written_of_nothing(written):
    assert written([]) == (b"", [])
