"""Readers whose pieces are interleaved."""

from sklearn_fsmd.encoding.sources.frames import Piece
from sklearn_fsmd.encoding.sources.mixing import round_robin, with_lasting


def reader(name, n, size=1):
    """`n` pieces of `size` rows."""
    return iter([Piece(range(size), i * size, name) for i in range(n)])


def named(pieces):
    return "".join(piece.name for piece in pieces)


def test_where_a_reader_ends_the_next_one_begins():
    assert named(round_robin(iter([reader("a", 3), reader("b", 1), reader("c", 2)]), 2)) == "abaacc"
    assert named(round_robin(iter([]), 2)) == ""


def test_lasting_readers_end_with_the_others():
    found = list(with_lasting(reader("a", 6, 10), 60, [(reader("b", 3, 2), 6), (reader("c", 2, 1), 2)]))
    assert named(found) == "abcaabacaba"
    assert [piece.first for piece in found if piece.name == "b"] == [0, 2, 4]
    assert named(with_lasting(reader("a", 2), 2, [])) == "aa"
