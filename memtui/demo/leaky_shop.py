"""The workload of ``memtui run --demo``: the back office of a small shop, with one leak to find.

Orders arrive, and each becomes an invoice. ``ARCHIVE`` keeps every invoice for ever: that is the leak, 1 to 2 MB a
minute. ``price`` is a cache with a bound, and each order is a reference cycle: both look busy and are healthy.
"""

import functools
import random
import signal
import sys
import time
from types import FrameType
from typing import Dict, List, Optional, Tuple

ORDERS_PER_SECOND = 20

ARCHIVE: Dict[int, Tuple[str, List["Line"]]] = {}


class Order:
    """What a customer wants. It knows its lines, and its lines know it: a cycle, freed by the garbage collector."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lines = [Line(random.randrange(500), 1 + number % 3, self) for _ in range(1 + number % 5)]


class Line:
    """One article of an order."""

    def __init__(self, article: int, pieces: int, order: Optional[Order] = None) -> None:
        self.article = article
        self.pieces = pieces
        self.order = order


@functools.lru_cache(maxsize=300)
def price(article: int) -> float:
    """The price of an article."""
    return 5 + article % 40 + article / 100


def invoice(order: Order) -> str:
    """The text of an invoice."""
    rows = [
        f"{line.pieces:4} x article {line.article:4} {line.pieces * price(line.article):9.2f}" for line in order.lines
    ]
    total = sum(line.pieces * price(line.article) for line in order.lines)
    terms = "Payable within 30 days. Goods remain ours until they are paid. " * 8
    return "\n".join([f"Invoice {order.number:06}", *rows, f"{total:27.2f}", terms])


def handle(order: Order) -> str:
    """Write the invoice of an order. Keeping all of them is the mistake."""
    text = invoice(order)
    ARCHIVE[order.number] = text, [Line(line.article, line.pieces) for line in order.lines]
    return text


def stop(_number: int, _frame: Optional[FrameType]) -> None:
    """Close the shop politely."""
    print(f"closing after {len(ARCHIVE)} orders", flush=True)
    sys.exit(0)


def main() -> None:
    """Take orders until told to stop."""
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print("shop open", flush=True)
    number = 0
    while True:
        number += 1
        handle(Order(number))
        if number % ORDERS_PER_SECOND == 0:
            print(
                f"{time.strftime('%H:%M:%S')} {number} orders, {price.cache_info().currsize} prices cached",
                flush=True,
            )
        time.sleep(1 / ORDERS_PER_SECOND)


if __name__ == "__main__":
    main()
