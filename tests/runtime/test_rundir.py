"""Who holds a run's lock, and who only asks."""

from __future__ import annotations

import threading
from pathlib import Path

from executor.runtime.rundir import RunDirectory, RunLock, create, is_alive


def test_a_run_lives_as_long_as_somebody_holds_its_lock(tmp_path: Path) -> None:
    directory = create(tmp_path)
    assert not is_alive(directory.path)
    lock = RunLock(directory)
    assert is_alive(directory.path)
    assert lock is not None


def test_asking_whether_a_run_lives_never_keeps_its_process_from_starting(tmp_path: Path) -> None:
    begun: list[RunDirectory] = [create(tmp_path)]
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            is_alive(begun[-1].path)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(50):
            begun.append(create(tmp_path))
            RunLock(begun[-1])
    finally:
        over.set()
        for thread in asking:
            thread.join()
    assert all(is_alive(directory.path) for directory in begun[1:])
