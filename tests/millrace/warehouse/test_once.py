import threading
import time

from millrace.warehouse.once import once


def test_nobody_else_is_in_the_block_with_the_same_key(tmp_path):
    inside: list[int] = []
    seen: list[int] = []

    def work() -> None:
        with once(tmp_path, ["model", 1]):
            inside.append(1)
            seen.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 5


def test_another_key_does_not_wait(tmp_path):
    with once(tmp_path, "a"), once(tmp_path, "b"):
        pass


def test_an_error_in_the_block_frees_the_lock(tmp_path):
    for _ in range(2):
        try:
            with once(tmp_path, "a"):
                raise ValueError
        except ValueError:
            continue
