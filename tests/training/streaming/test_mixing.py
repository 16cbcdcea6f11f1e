"""Interleaving the pieces of several readers."""

from sklearn_fsmd.encoding.sources.frames import Piece
from sklearn_fsmd.encoding.sources.mixing import round_robin, with_lasting


def reader(name, n, size=1):
    """`n` pieces of `size` rows."""
    return iter([Piece(range(size), i * size, name) for i in range(n)])


def names(pieces):
    return "".join(piece.name for piece in pieces)


def test_the_next_reader_replaces_a_reader_that_ends():
    assert names(round_robin(iter([reader("a", 3), reader("b", 1), reader("c", 2)]), 2)) == "abaacc"
    assert names(round_robin(iter([]), 2)) == ""


def test_lasting_readers_are_spread_until_the_others_end():
    found = list(with_lasting(reader("a", 6, 10), 60, [(reader("b", 3, 2), 6), (reader("c", 2, 1), 2)]))
    assert names(found) == "abcaabacaba"
    assert [piece.first for piece in found if piece.name == "b"] == [0, 2, 4]
    assert names(with_lasting(reader("a", 2), 2, [])) == "aa"
