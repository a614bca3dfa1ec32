"""The pytest plugin in sessions of its own: planted leaks and holders are named, clean bodies pass."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
HAS_XDIST = importlib.util.find_spec("xdist") is not None

SHOP = """
import asyncio, ctypes, functools, gc, logging, threading, tracemalloc, unittest, warnings
from collections import deque
import pytest

ORDERS, CACHE, SEEN, LISTENERS, TASKS, TEXTS = [], {}, set(), [], [], []
C = ctypes.CDLL(None)
HEAD = None
NUMBER = 0

class Order:
    def __init__(self):
        self.lines = ["line"] * 3

class Cart:
    orders = []

def number():
    global NUMBER
    NUMBER += 1
    return NUMBER

@functools.lru_cache(maxsize=None)
def remembered(key):
    return [key]

@functools.lru_cache(maxsize=500)
def bounded(key):
    return [key]

@pytest.fixture
def service():
    class Service:
        def __init__(self):
            self.log = []
    return Service()

def work():
    orders = [Order() for _ in range(200)]
    orders[0].itself = orders[0]
    return {number: str(number) for number in range(300)}
"""

LEAKS = {
    "a_list": ("ORDERS.append(object())", "test_it.ORDERS: list", "the newest: object"),
    "a_dict": ("CACHE[number()] = Order()", "test_it.CACHE: dict", "the newest: test_it.Order"),
    "a_class": ("Cart.orders.append('x' * number())", "test_it.Cart.orders: list", "the newest: str"),
    "ten_kilobytes": ("TEXTS.append(bytes(10_000)); work()", "test_it.TEXTS: list", "9.8 KiB in 1 blocks"),
    "much": ("TEXTS.append(bytearray(100_000))", "test_it.TEXTS: list", "allowed are 976.6 KiB."),
    "small_numbers": ("SEEN.add(number() % 256)", "test_it.SEEN: set", "+1 an iteration"),
    "a_closure": (
        "order = Order(); LISTENERS.append(lambda: order)", "test_it.LISTENERS: list", "the newest: function",
    ),
    "a_linked_list": (
        "global HEAD; order = Order(); order.next = HEAD; HEAD = order",
        "leak in test_it.HEAD", "held by test_it.HEAD: +1", "of test_it.Order",
    ),
    "a_cache": ("remembered(number())", "test_it.remembered: functools._lru_cache_wrapper", "the newest: list"),
    "native": (
        "malloc = C.malloc; malloc.restype = ctypes.c_void_p; ctypes.memset(malloc(50_000), 1, 50_000)",
        "memtui: native leak: each iteration leaves 48.",
    ),
    "every_sixth": ("number() % 6 or TEXTS.append(bytes(300_000))", "test_it.TEXTS: list", "the newest: bytes"),
}  # fmt: skip

CLEAN = {
    "work": "assert work()",
    "much_work": "assert len([bytes(1000) for _ in range(5000)]) == 5000",
    "after_much_work": "assert work()",
    "a_bounded_cache": "bounded(number())",
    "notes": "logging.warning('number %s', number()); warnings.warn('old', DeprecationWarning); print('x' * 1000)",
    "cycles": "order = Order(); order.order = order",
    "threads": "thread = threading.Thread(target=work); thread.start(); thread.join()",
    "loops": "asyncio.run(asyncio.sleep(0))",
}

QUICK_LEAKS = ("a_linked_list", "native", "every_sixth")
QUICK_CLEAN = ("a_bounded_cache", "notes")
MARK = "@pytest.mark.memtui(max_growth='1MB', iterations=40, warmup=5)"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A pytest session of its own, with memtui's plugin and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return Session(pytester)


class Session:
    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester

    def __call__(self, source: str, *arguments: str) -> pytest.RunResult:
        self._pytester.makepyfile(test_it=SHOP + source)
        options = ("-p", "memtui.testing.plugin", "-p", "no:cacheprovider", "--strict-markers")
        return self._pytester.runpytest_subprocess(*options, *arguments, timeout=110)


def bodies(of: dict[str, str], mark: str = MARK) -> str:
    return "\n".join(f"{mark}\ndef test_{name}():\n    {body}\n" for name, body in of.items())


def section(result: pytest.RunResult, name: str) -> str:
    """What was printed for one failed test."""
    text = result.stdout.str()
    assert f"_ test_{name} _" in text, text
    return text.split(f"_ test_{name} _", 1)[1].split("\n____", 1)[0]


@pytest.mark.parametrize("names", [QUICK_LEAKS, pytest.param(tuple(LEAKS), marks=pytest.mark.slow)], ids=len)
def test_planted_leaks_fail_and_are_named(run: Session, names: tuple[str, ...]) -> None:
    result = run(bodies({name: LEAKS[name][0] for name in names}))
    result.assert_outcomes(failed=len(names))
    for name in names:
        told, words = section(result, name), LEAKS[name][1:]
        assert all(word in told for word in words), told
        assert "40 iterations" in told


@pytest.mark.parametrize("names", [QUICK_CLEAN, pytest.param(tuple(CLEAN), marks=pytest.mark.slow)], ids=len)
def test_clean_bodies_pass(run: Session, names: tuple[str, ...]) -> None:
    source = (
        bodies({name: CLEAN[name] for name in names})
        + "def test_after(): assert gc.isenabled() and not tracemalloc.is_tracing()"
    )
    run(source, "-v", "-W", "always").assert_outcomes(passed=len(names) + 1, warnings=1)


MIXED = bodies({name: LEAKS[name][0] for name in ("a_list", "ten_kilobytes")}) + bodies(
    {name: CLEAN[name] for name in ("much_work", "after_much_work")}
)
HELD = """
def test_held(assert_collected):
    order = Order()
    CACHE["k17"] = [order]
    assert_collected(order)

def test_let_go(assert_collected):
    order = Order()
    assert_collected(order)
"""


@pytest.mark.skipif(not HAS_XDIST, reason="pytest-xdist is not installed")
def test_the_same_under_xdist(run: Session) -> None:
    result = run(MIXED + HELD, "-p", "xdist", "-n", "2")
    result.assert_outcomes(failed=3, passed=3)
    assert "held by test_it.CACHE['k17'][0]" in section(result, "held")
    assert "held by test_it.ORDERS: list" in section(result, "a_list")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_five_runs_of_five(run: Session, workers: str) -> None:
    if workers != "0" and not HAS_XDIST:
        pytest.skip("pytest-xdist is not installed")
    options = ("-p", "xdist", "-n", workers) if HAS_XDIST else ()
    for _ in range(5):
        run(MIXED + HELD, *options).assert_outcomes(failed=3, passed=3)


def test_classes_parameters_fixtures_and_unittest(run: Session) -> None:
    source = f"""
{MARK}
def test_fixture(service):
    service.log.append(Order())

{MARK}
def test_patched(monkeypatch, capsys, tmp_path, service):
    monkeypatch.setattr(Cart, "orders", [1])
    print("x")

{MARK}
def test_warned(recwarn):
    warnings.warn("old", UserWarning)
    assert len(recwarn) == 1

class TestCart:
    {MARK}
    @pytest.mark.parametrize("grows", [False, True])
    def test_growing(self, grows):
        if grows:
            self.__dict__.setdefault("mine", []).append(Order())

class Cases(unittest.TestCase):
    def setUp(self):
        self.mine = []

    {MARK}
    def test_bad_case(self):
        self.mine.append(Order())

    {MARK}
    def test_good_case(self):
        self.assertTrue(work())
"""
    result = run(source)
    result.assert_outcomes(passed=4, failed=3)
    assert "held by service.log: list" in section(result, "fixture")
    result.stdout.fnmatch_lines(["*held by self (TestCart).mine: list*", "*held by self (Cases).mine: list*"])


ASYNC = f"""
{MARK}
async def test_awaited():
    await asyncio.create_task(asyncio.sleep(0))

{MARK}
async def test_never_awaited():
    async def job(order):
        await asyncio.sleep(1000)
    TASKS.append(asyncio.create_task(job(Order())))
    await asyncio.sleep(0)

class Cases(unittest.IsolatedAsyncioTestCase):
    {MARK}
    async def test_case(self):
        await asyncio.sleep(0)
        ORDERS.append(Order())
"""


WITH_ASYNCIO = pytest.param(("-p", "asyncio", "-o", "asyncio_mode=auto"), marks=pytest.mark.slow)


@pytest.mark.parametrize("options", [(), WITH_ASYNCIO], ids=["alone", "asyncio"])
def test_coroutine_functions(run: Session, options: tuple[str, ...]) -> None:
    result = run(ASYNC, *options)
    result.assert_outcomes(passed=1, failed=2)
    assert "held by test_it.TASKS: list" in section(result, "never_awaited")
    result.stdout.fnmatch_lines(["*held by test_it.ORDERS: list*"])


def test_errors_skips_and_wrong_markers_are_told_as_such(run: Session) -> None:
    source = f"""
{MARK}
def test_raises():
    assert number() < 5

{MARK}
def test_skips():
    pytest.skip("not today")

@pytest.mark.memtui(iterations=20)
def test_few():
    pass

@pytest.mark.memtui(allow_objects=True)
def test_allowed():
    ORDERS.append(Order())
"""
    result = run(source)
    result.assert_outcomes(failed=1, skipped=1, errors=1, passed=1)
    result.stdout.fnmatch_lines(["*asks for 20 iterations. With fewer than 40*", "*assert 5 < 5*"])


GONE = """
def test_statement(assert_collected):
    order = Order()
    assert_collected(order)

def test_del(assert_collected):
    order = Order()
    CACHE["k17"] = order
    check = assert_collected(order)
    CACHE.clear()
    del order
    check()

def test_block(assert_collected):
    order = Order()
    CACHE["k17"] = order
    with assert_collected(order):
        CACHE.clear()
        del order

def test_end_of_the_test(assert_collected):
    order = Order()
    CACHE["k17"] = order
    watch = assert_collected(order)
    CACHE.clear()

def test_factory(assert_collected):
    assert_collected(lambda: [Order()])

def test_fixture(service, assert_collected):
    assert_collected(service)

class TestIt:
    def test_self(self, assert_collected):
        self.order = Order()
        assert_collected(self.order)

def test_helper(assert_collected):
    order = Order()
    def look():
        return order
    look()
    assert_collected(order)

def test_no_weak_references(assert_collected):
    assert_collected([1])

def test_it_can_be_expected(assert_collected):
    CACHE["k17"] = order = Order()
    with pytest.raises(AssertionError, match="CACHE"):
        assert_collected(order)
    CACHE.clear()

def test_objects(object_growth):
    with object_growth(limit=10):
        work()
    with object_growth({"Order": 1, list: 50}):
        ORDERS.append(Order())
"""

HELD_WAYS = {
    "statement": ("ORDERS.append(order); assert_collected(order)", "test_it.Order (order) is still alive"),
    "del": ("Cart.orders.append(order); check = assert_collected(order); del order; check()", "test_it.Cart.orders["),
    "no_del": ("check = assert_collected(order); check()", "held by test_no_del() local 'order'"),
    "local": ("mine = [order]; check = assert_collected(order); del order; check()", "local 'mine'[0]"),
    "let_go": ("box = Cart(); box.kept = order; assert_collected(order)", "held by test_let_go() local 'box'.kept"),
    "end": ("CACHE['end'] = order; watch = assert_collected(order)", "held by test_it.CACHE['end']"),
    "block": ("CACHE['in'] = order\n    with assert_collected(order): del order", "held by test_it.CACHE['in']"),
    "factory": ("assert_collected(lambda: CACHE.setdefault('made', Order()))", "held by test_it.CACHE['made']"),
    "closure": (
        "LISTENERS.append(lambda: order); assert_collected(order)", "LISTENERS[0].__closure__[0].cell_contents",
    ),
    "text": ("assert_collected('text')", "assert_collected cannot watch str"),
    "objects": ("with object_growth(10): ORDERS.extend([Order() for _ in range(100)])", "test_it.Order +100"),
    "elements": ("with object_growth(10): CACHE.update({n: b'' for n in range(99)})", "held by test_it.CACHE: dict"),
    "one_list": ("with object_growth(10): CACHE['l'] = [Order() for _ in range(99)]", "test_it.CACHE['l']["),
    "of_type": ("with object_growth({Order: 5}): ORDERS.extend([Order() for _ in range(6)])", "6 objects of test_it"),
    "wrong": ("with object_growth('many'): pass", "object_growth takes the number of objects"),
}  # fmt: skip


def test_objects_that_are_gone(run: Session) -> None:
    result = run(GONE)
    result.assert_outcomes(passed=GONE.count("def test_"))


def test_objects_that_are_held_are_named(run: Session) -> None:
    source = "".join(
        f"def test_{name}(assert_collected, object_growth):\n    order = Order()\n    {body}\n"
        for name, (body, _) in HELD_WAYS.items()
    )
    result = run(source)
    result.assert_outcomes(failed=len(HELD_WAYS))
    for name, (_, words) in HELD_WAYS.items():
        assert words in section(result, name)


def test_loading_the_plugin_loads_nothing_else() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import memtui.testing.plugin; "
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.strip()
    assert loaded == "['memtui', 'memtui.testing', 'memtui.testing.plugin']"
