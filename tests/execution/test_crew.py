"""The threads that share a training step."""

import threading

import pytest
import torch

from sklearn_fsmd.execution.crew import Crew, parts_of, ranges_of


def test_a_crew_runs_each_piece_once_in_a_single_thread():
    crew, seen = Crew(3), []
    before = torch.get_num_threads()
    crew.each(lambda piece: seen.append((piece, threading.get_ident(), torch.get_num_threads())), range(40), 10**6)
    assert sorted(piece for piece, *_ in seen) == list(range(40))
    assert len({thread for _, thread, _ in seen}) <= 3
    assert {n for *_, n in seen} == {1}
    assert torch.get_num_threads() == before
    crew.close()
    assert threading.active_count() == 1 or not any("ThreadPool" in t.name for t in threading.enumerate())


def test_an_error_in_a_piece_is_raised():
    crew = Crew(2)

    def work(piece):
        raise IndexError(f"piece {piece}")

    with pytest.raises(IndexError, match="piece"):
        crew.each(work, range(8), 10**6)
    crew.close()


def test_other_threads_stop_after_a_failure():
    crew, ended, failed = Crew(2), [], threading.Event()

    def work(piece):
        if threading.current_thread() is threading.main_thread():
            failed.set()
            raise KeyboardInterrupt
        failed.wait()
        ended.append(piece)

    with pytest.raises(KeyboardInterrupt):
        crew.each(work, range(8), 10**6)
    assert len(ended) <= 1  # at most the piece that was already running
    crew.close()


@pytest.mark.parametrize(("rows", "width"), [(1, 3), (64, 10**6), (5000, 7), (2048, 130)])
def test_ranges_cover_all_rows(rows, width):
    assert [i for part in ranges_of(rows, width) for i in range(part.start, part.stop)] == list(range(rows))
    assert [i for part in parts_of(width % 1000) for i in range(part.start, part.stop)] == list(range(width % 1000))
