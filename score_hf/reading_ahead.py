"""Work in the background, in order: pictures are read and results finished while others compute."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    action: Callable[[Item], Result], items: Iterable[Item], count: int = 1
) -> Generator[Result, None, None]:
    """Applies an action in one thread, some items before its results are asked for.

    Args:
        action: What to do with an item.
        items: Are taken in the caller's thread, in order.
        count: How many items are begun beyond the one whose result is asked for.

    Yields:
        The results, in the order of the items. An exception of the action comes in the place of
        its result and ends the rest; one of the items comes after the results of those before it.
    """
    waiting: deque[Future[Result]] = deque()
    failure: BaseException | None = None
    source = iter(items)
    with ThreadPoolExecutor(1) as worker:
        try:
            while True:
                try:
                    waiting.append(worker.submit(action, next(source)))
                except StopIteration:
                    break
                # An interruption by the user, too: what is done already is not lost.
                except BaseException as error:
                    failure = error
                    break
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            worker.shutdown(cancel_futures=True)
    if failure is not None:
        raise failure
