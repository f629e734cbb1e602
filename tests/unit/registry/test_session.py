"""Many at once: how many threads, who waits for whom, and what a deadline does."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from helmpin.registry import session
from helmpin.registry.singleflight import SingleFlight


def test_no_thread_for_each_job() -> None:
    lock, running, most = threading.Lock(), 0, 0
    threads = set()

    def job(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            threads.add(threading.get_ident())
        time.sleep(0.002)
        with lock:
            running -= 1
        return number * 2

    results = session.run(job, {"host": range(300)}, 8, time.monotonic() + 30)
    assert results == {number: number * 2 for number in range(300)}
    assert most <= 8
    assert len(threads) <= 8


def test_hosts_do_not_wait_for_one_another_nor_past_the_deadline() -> None:
    release = threading.Event()

    def job(name: str) -> str:
        if name.startswith("slow"):
            release.wait(30)
        return name

    started = time.monotonic()
    hosts = {"slow": [f"slow {i}" for i in range(100)], "quick": [f"quick {i}" for i in range(100)]}
    results = session.run(job, hosts, 64, started + 0.5)
    assert 0.4 < time.monotonic() - started < 5
    assert set(results) == set(hosts["quick"])
    release.set()


def test_many_hosts_share_the_threads() -> None:
    before = threading.active_count()
    most = 0

    def job(name: int) -> int:
        nonlocal most
        most = max(most, threading.active_count() - before)
        time.sleep(0.001)
        return name

    session.run(
        job, {str(host): [host * 1000 + i for i in range(100)] for host in range(40)}, 64, time.monotonic() + 30
    )
    assert most <= session.MAX_THREADS


def test_what_a_job_raises_comes_out() -> None:
    def job(number: int) -> None:
        if number == 3:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        session.run(job, {"host": range(1000)}, 4, time.monotonic() + 30)


def test_nothing_to_do() -> None:
    assert session.run(str, {}, 4, time.monotonic() + 30) == {}


class TestOnce:
    def test_made_once_for_all_threads(self) -> None:
        once: SingleFlight[object] = SingleFlight()
        made: Counter[str] = Counter()

        def make() -> object:
            made["x"] += 1
            time.sleep(0.05)
            return object()

        results = session.run(lambda _: once.get("x", make), {"host": range(20)}, 20, time.monotonic() + 30)
        assert len(set(results.values())) == 1
        assert made["x"] == 1

    def test_keys_do_not_wait_for_one_another(self) -> None:
        once: SingleFlight[str] = SingleFlight()
        release = threading.Event()
        threading.Thread(target=once.get, args=("slow", lambda: str(release.wait(30))), daemon=True).start()
        assert once.get("quick", lambda: "done") == "done"
        release.set()

    def test_an_exception_is_kept(self) -> None:
        once: SingleFlight[int] = SingleFlight()
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                once.get("x", lambda: 1 // 0)

    def test_what_is_no_longer_good_is_made_anew(self) -> None:
        once: SingleFlight[list[int]] = SingleFlight()
        first = once.get("x", lambda: [1])
        assert once.get("x", lambda: [2], lambda value: value == [1]) is first
        assert once.get("x", lambda: [2], lambda value: value == [2]) == [2]

    def test_drop_only_what_is_meant(self) -> None:
        once: SingleFlight[list[int]] = SingleFlight()
        first = once.get("x", lambda: [1])
        once.drop("x", [1])
        assert once.get("x", lambda: [2]) is first
        once.drop("x", first)
        once.drop("y", first)
        assert once.get("x", lambda: [2]) == [2]
