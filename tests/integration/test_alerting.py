"""Alerts of real processes, and their way to a command and a webhook: whatever these do, nothing waits for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from observed import until

from memtui.analysis.alerts import AlertWatch
from memtui.cli.main import run
from memtui.errors import MemtuiError, UsageError
from memtui.model.alert import parse_rule
from memtui.model.state import EventKind, State
from memtui.report.alerts import alert_as_json
from memtui.session.alerting.command import AlertCommand
from memtui.session.alerting.courier import QUEUE_BOUND, Courier
from memtui.session.alerting.desk import AlertDesk, AlertPlan
from memtui.session.alerting.webhook import ATTEMPTS, Webhook, check_url
from memtui.session.live import LiveOptions, LiveSession

HOLDER = """
import sys
held = []
print("ready", flush=True)
for line in sys.stdin:
    del held[int(line):]
    while len(held) < int(line): held.append(bytearray(b"m") * (1 << 20))
    print("done", flush=True)
"""
NEVER = threading.Event()


class Receiver:
    """A webhook on the loopback interface. ``answers``: status codes in turn, the last for good; None: no answer."""

    def __init__(self, *answers: int | None) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.release = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                if answer is None:
                    receiver.release.wait(60)
                    return
                self.send_response(answer)
                if answer == 302:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.server.server_port}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration, and no proxy before the loopback interface."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(*answers: int | None) -> Receiver:
        made.append(Receiver(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Holder:
    """A process that holds as many MiB as it is told to, watched by a session with an alert desk."""

    def __init__(self, plan: AlertPlan) -> None:
        command = [sys.executable, "-c", HOLDER]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()
        self.session = LiveSession(
            LiveOptions(pid=self.process.pid, interval_seconds=0.1, attendants=(AlertDesk(plan),))
        )
        self.session.start()

    def hold(self, mib: int) -> None:
        """Hold so much, and wait until five looks have seen it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{mib}\n")
        self.process.stdin.flush()
        self._read()
        self.await_looks(5)

    def await_looks(self, more: int) -> None:
        looks = self.state.series.looks
        until(lambda: self.state.series.looks >= looks + more)

    @property
    def state(self) -> State:
        return self.session.state

    def told(self, words: str) -> bool:
        return any(words in one.text for one in self.state.events)

    def close(self) -> None:
        self.session.close()
        self.process.kill()
        self.process.communicate()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.readline()


def plan(*rules: str, **changes: Any) -> AlertPlan:
    found = [parse_rule("critical" if rule.startswith("!") else "warning", rule.lstrip("!"))[1] for rule in rules]
    made = AlertPlan(look=AlertWatch([one for one in found if one]).look, describe=alert_as_json)
    return replace(made, **changes)


@pytest.fixture
def holder() -> Iterator[Callable[[AlertPlan], Holder]]:
    made: list[Holder] = []

    def make(one: AlertPlan) -> Holder:
        made.append(Holder(one))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_one_crossing_is_one_alert(holder: Callable[[AlertPlan], Holder]) -> None:
    target = holder(plan("rss>100MiB", "!rss>180MiB"))
    for mib in (20, 110, 112, 110, 200, 205, 20, 110):
        target.hold(mib)
    alerts = target.state.alerts
    assert [(one.level, one.rule) for one in alerts] == [
        ("warning", "rss>100MiB"), ("critical", "rss>180MiB"), ("warning", "rss>100MiB"),
    ]  # fmt: skip
    assert [one.until_seconds is None for one in alerts] == [False, False, True]
    kinds = [one.kind for one in target.state.events if one.kind in (EventKind.ALERT, EventKind.CRITICAL)]
    assert kinds == [EventKind.ALERT, EventKind.CRITICAL, EventKind.ALERT, EventKind.ALERT, EventKind.ALERT]


def test_an_alert_comes_by_webhook_and_command(
    holder: Callable[[AlertPlan], Holder], receiver: Callable[..., Receiver], tmp_path: Path
) -> None:
    hook, file = receiver(200), tmp_path / "alerts.jsonl"
    senders = (("webhook", Webhook(hook.url, 5)), ("command", AlertCommand(f"cat >> '{file}'", 5)))
    target = holder(plan("rss>100MiB", senders=senders))
    target.hold(150)
    until(lambda: len(hook.bodies) == 1 and file.exists() and file.read_text().endswith("\n"))
    by_command = json.loads(file.read_text())
    assert hook.bodies == [by_command]
    assert by_command["schema"] == "memtui.alert/1"
    assert (by_command["level"], by_command["rule"], by_command["unit"]) == ("warning", "rss>100MiB", "bytes")
    assert by_command["value"] == by_command["memory"]["rss_bytes"] > 100 << 20
    assert by_command["target"]["pid"] == target.process.pid


def test_a_webhook_that_never_answers_delays_neither_looks_nor_the_end(
    holder: Callable[[AlertPlan], Holder], receiver: Callable[..., Receiver]
) -> None:
    hook = receiver(None)
    target = holder(plan("rss>100MiB", senders=(("webhook", Webhook(hook.url, 60)),)))
    target.hold(150)
    until(lambda: len(hook.bodies) == 1)
    target.await_looks(10)
    target.session.close()
    assert not hook.release.is_set(), "nobody had answered when the session ended"
    assert target.told("before the webhook had taken its last alerts")


def test_a_command_that_hangs_delays_neither_looks_nor_the_end(
    holder: Callable[[AlertPlan], Holder], tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    command = AlertCommand(f"echo $$ > '{file}.new'; mv '{file}.new' '{file}'; sleep 1000", 600)
    target = holder(plan("rss>100MiB", senders=(("command", command),)))
    target.hold(150)
    until(file.exists)
    target.await_looks(10)
    target.session.close()
    assert target.told("was killed: the session ended")
    pid = int(file.read_text())
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_what_goes_wrong_is_an_event_and_not_fatal(holder: Callable[[AlertPlan], Holder]) -> None:
    target = holder(plan("rss>100MiB", senders=(("command", AlertCommand("echo out of paper >&2; exit 3", 5)),)))
    target.hold(150)
    until(lambda: target.told("failed with exit code 3: out of paper"))
    target.await_looks(3)
    assert target.state.ending is None


def test_problems_of_the_configuration_are_events_of_a_dashboard(holder: Callable[[AlertPlan], Holder]) -> None:
    assert holder(plan(problems=("critical.rss makes no sense",))).told("critical.rss makes no sense")


def test_the_first_critical_alert_takes_a_picture(holder: Callable[[AlertPlan], Holder], tmp_path: Path) -> None:
    target = holder(plan("rss>60MiB", "!rss>100MiB", snapshot_on="critical", folder=tmp_path))
    target.hold(70)
    assert target.state.snapshots == ()
    target.hold(150)
    until(lambda: target.told("The heap at the first alert is in"), seconds=60)
    target.hold(20)
    target.hold(150)
    assert [one.rule for one in target.state.alerts].count("rss>100MiB") == 2
    target.await_looks(5)
    assert len(target.state.snapshots) == 1, "only the first is photographed"
    (file,) = tmp_path.glob(f"{target.process.pid}-*.memtui")
    target.session.close()
    assert file.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exit 3", "failed with exit code 3."),
        ("echo one; echo two; exit 1", "failed with exit code 1: two"),
        ("kill -9 $$", "was ended by signal 9"),
        ("sleep 1000", "was killed: it took longer than 0.2 s"),
        ("trap '' TERM INT HUP; cat; sleep 1000", "was killed: it took longer than 0.2 s"),
        ("/nowhere/to/be/found", "failed with exit code 127"),
    ],
)
def test_a_command_that_fails_is_told(command: str, words: str) -> None:
    before = children()
    with pytest.raises(MemtuiError, match="The command of --on-alert") as caught:
        AlertCommand(command, 0.2 if "1000" in command else 30)(b"{}\n", NEVER)
    assert words in str(caught.value)
    assert children() == before, "nothing is left, dead or alive"


@pytest.mark.parametrize(
    "command",
    [
        "true",
        "exec 0<&-; true",
        "cat > /dev/null",
        "head -c 10000000 /dev/zero",
        "sleep 2 & true",
        "sleep 2 >/dev/null &",
    ],
)
def test_a_command_may_do_what_it_likes_with_its_streams(command: str) -> None:
    AlertCommand(command, 30)(b"x" * 300_000, NEVER)


def test_a_webhook_that_is_down_for_a_while_gets_the_alert(receiver: Callable[..., Receiver]) -> None:
    hook = receiver(500, 503, 200)
    Webhook(hook.url, 5, backoff_seconds=0.01)(b"{}", NEVER)
    assert len(hook.bodies) == 3


@pytest.mark.parametrize(
    ("answers", "words", "tries"),
    [
        ((500,), f"it answered 500 (tried {ATTEMPTS} times)", ATTEMPTS),
        ((404,), "it answered 404.", 1),
        ((302,), "it answered 302.", 1),
        ((None,), f"no answer within 0.2 s (tried {ATTEMPTS} times)", ATTEMPTS),
    ],
)
def test_a_webhook_that_fails_is_told(
    receiver: Callable[..., Receiver], answers: tuple[int | None, ...], words: str, tries: int
) -> None:
    hook = receiver(*answers)
    with pytest.raises(MemtuiError, match="not taken by the webhook") as caught:
        Webhook(hook.url + "/secret", 0.2 if None in answers else 5, backoff_seconds=0.01)(b"{}", NEVER)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(hook.bodies) == tries


def test_a_webhook_that_refuses_is_told(receiver: Callable[..., Receiver]) -> None:
    hook = receiver(200)
    hook.close()
    with pytest.raises(MemtuiError, match="Connection refused"):
        Webhook(hook.url, 5, backoff_seconds=0.01)(b"{}", NEVER)


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "http://", "file:///etc/passwd", "a/b", "http://a:b/", "http://u:p@a/", "http://a/ b"]
)
def test_what_is_no_webhook(url: str) -> None:
    with pytest.raises(UsageError):
        check_url(url)


def test_the_queue_of_a_courier_is_bounded() -> None:
    told: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def send(_: bytes, ending: threading.Event) -> None:
        begun.set()
        go_on.wait(60)

    courier = Courier("webhook", send, told.append)
    courier.put(b"")
    assert begun.wait(60)
    for _ in range(QUEUE_BOUND + 2):
        courier.put(b"")
    assert len(told) == 2
    assert "32 others wait" in told[0]
    go_on.set()
    courier.close(time.monotonic() + 60)
    assert len(told) == 2


def test_a_courier_that_was_never_needed_ends_at_once() -> None:
    Courier("webhook", lambda *_: None, pytest.fail).close(time.monotonic())


def test_headless_commands_take_the_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "memtui").mkdir()
    (tmp_path / "memtui" / "config.toml").write_text('[alerts]\nwebhook = "ftp://x"\n[warning]\nrss = 0\n')
    report = tmp_path / "report.json"
    command = [
        "diagnostics",
        "--for",
        "10s",
        "--json",
        "--report",
        str(report),
        "--warn",
        "rss=1MB",
        "--warn=limit=off",
    ]
    code = run([*command, "--", sys.executable, "-c", "import time; time.sleep(3)"])
    assert code == 0
    errors = capsys.readouterr().err
    assert "line 2: alerts.webhook = 'ftp://x' is no URL" in errors
    assert "line 4: warning.rss" in errors or "warning.rss" not in errors
    alerts = json.loads(report.read_text())["alerts"]
    assert [one["rule"] for one in alerts] == ["rss>1MB"]


def test_a_recording_holds_the_alerts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.memtui"
    words = ["--warn", "rss=1MB", "--on-alert", "exit 3", "--", sys.executable, "-c", "import time; time.sleep(2)"]
    assert run(["record", "--quiet", "-o", str(file), *words]) == 0
    assert "failed with exit code 3" in capsys.readouterr().err
    assert run(["report", str(file), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["rule"] for one in report["alerts"]] == ["rss>1MB"]
    assert any("failed with exit code 3" in one["text"] for one in report["events"])


@pytest.mark.parametrize("words", [["--warn", "rss"], ["--critical", "size=3"], ["--webhook", "ftp://x"]])
def test_wrong_options_are_refused(words: list[str]) -> None:
    assert run(["diagnostics", *words, str(os.getpid())]) == 2


def children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()))
