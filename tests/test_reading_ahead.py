import threading

import pytest

from score_hf.reading_ahead import ahead


def test_results_come_in_order_from_another_thread():
    threads = set()

    def double(number):
        threads.add(threading.get_ident())
        return 2 * number

    assert list(ahead(double, range(7), 3)) == [0, 2, 4, 6, 8, 10, 12]
    assert list(ahead(double, [])) == []
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("count", [1, 3])
def test_so_many_items_are_begun_ahead(count):
    taken = []
    results = ahead(lambda number: number, (taken.append(n) or n for n in range(9)), count)
    for number in range(5):
        assert next(results) == number
        assert taken[-1] == number + count


def test_work_is_done_while_another_computes():
    begun, may_end = threading.Event(), threading.Event()

    def wait(number):
        if number == 1:
            begun.set()
            assert may_end.wait(30)
        return number

    results = ahead(wait, range(3))
    assert next(results) == 0
    assert begun.wait(30)
    may_end.set()
    assert list(results) == [1, 2]


def test_an_error_comes_in_its_place_and_ends_the_rest():
    done = []

    def refuse(number):
        if number == 2:
            raise OSError("two")
        done.append(number)
        return number

    results = ahead(refuse, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="two"):
        next(results)
    assert list(results) == []


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_came_before_an_error_of_the_items_is_not_lost(error):
    def items():
        yield from range(3)
        raise error

    results = ahead(lambda number: number, items(), 5)
    assert [next(results), next(results), next(results)] == [0, 1, 2]
    with pytest.raises(error):
        next(results)


def test_what_has_not_begun_is_not_done_once_closed():
    done, may_end = [], threading.Event()

    def work(number):
        assert may_end.wait(30)
        done.append(number)

    results = ahead(work, range(9), 4)
    may_end.set()
    next(results)
    results.close()
    assert len(done) <= 6 and 8 not in done
