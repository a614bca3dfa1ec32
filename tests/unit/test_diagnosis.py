from __future__ import annotations

from dataclasses import replace

import pytest

from memtui.attach.survey import Entry, explain_refusal
from memtui.cli.doctor import machine_lines, process_document, process_lines
from memtui.cli.forecast import forecast
from memtui.cli.ps import as_json, as_text
from memtui.errors import RefusedError
from memtui.model.diagnosis import Obstacle, PythonProcess, Standing
from memtui.model.gc import GcState, Generation
from memtui.model.target import Rung, Target
from memtui.observe.diagnosis import Facts, judge
from memtui.observe.machine import Machine, check_machine, kernel_version
from memtui.observe.standing import MachineFacts, judge_machine

FIT = Facts(7, target=Target(7, ("python", "app.py"), python="3.11.7", user="ann"))
NO = Obstacle("No.", "So it is.", "Change it: do-this 7")
OTHER = Obstacle("Nor this.")
MACHINE = Machine("Linux", "x86_64", "6.1.0-18-amd64", "ann", 0, False, 0, False)
FACTS = MachineFacts(MACHINE, None, "", None, "/site-packages/memray")


def available(facts: Facts) -> list[str]:
    return [one.rung.value for one in judge(facts).rungs if one.available]


@pytest.mark.parametrize(
    ("facts", "rungs"),
    [
        (FIT, "process observe agent tracer"),
        (replace(FIT, tracer=NO), "process observe agent"),
        (replace(FIT, entry=(NO,)), "process observe"),
        (replace(FIT, moment=(NO,)), "process observe"),
        (replace(FIT, collector=NO), "process agent tracer"),
        (replace(FIT, build=NO), "process agent tracer"),
        (replace(FIT, build=NO, moment=(NO,)), "process"),
        (replace(FIT, python=NO), "process"),
        (replace(FIT, memory=NO), "process"),
        (replace(FIT, process=NO), ""),
    ],
)
def test_what_is_in_the_way_of_which_rung(facts: Facts, rungs: str) -> None:
    assert available(facts) == rungs.split()
    assert judge(facts).best == (Rung(rungs.split()[-1]) if rungs else None)


def test_all_that_is_in_the_way_is_told_and_nothing_twice() -> None:
    facts = replace(FIT, moment=(NO,), entry=(OTHER,))
    assert judge(facts).on(Rung.AGENT).obstacles == (NO, OTHER)
    text = "\n".join(process_lines(facts, judge(facts), [], 80))
    assert text.count("NO: No. So it is.") == 1
    assert "-> Change it: do-this 7" in text
    assert "NO: Nor this." in text
    assert "tracer    NO, for the same reason" in text
    assert "What attaching would do" not in text


def test_the_document() -> None:
    facts = replace(FIT, memory=NO)
    document = process_document(facts, judge(facts), [])
    assert document["rung"] == "process"
    assert document["target"] == {"command": ["python", "app.py"], "python": "3.11.7", "user": "ann"}
    assert [one["available"] for one in document["rungs"]] == [True, False, False, False]
    assert document["rungs"][2]["obstacles"] == [
        {"what": "No.", "why": "So it is.", "remedy": "Change it: do-this 7"}
    ]
    nobody = process_document(Facts(7, process=NO), judge(Facts(7, process=NO)), [])
    assert (nobody["rung"], nobody["target"]) == (None, {"command": None, "python": None, "user": None})


def test_lines_stay_within_the_terminal() -> None:
    facts = replace(FIT, moment=(replace(NO, why="why " * 60),))
    assert max(map(len, process_lines(facts, judge(facts), ["word " * 50], 60))) <= 60


GENERATION = Generation(100, 700, 5, 0, 0)


@pytest.mark.parametrize(
    ("entry", "objects", "words"),
    [
        (Entry(8, True, True), 1_000_000, "thread 8, which sleeps"),
        (Entry(7, False, True), None, "running main thread (7)"),
        (Entry(None, False, True), None, "no thread is at a harmless point"),
        (Entry(8, True, False), None, "socket in a directory of its /tmp"),
        (Entry(8, True, True), None, "no port, no file"),
        (Entry(8, True, True, filtered=True, filter_readable=True), None, "memtui reads it first"),
        (Entry(8, True, True, filtered=True), None, "which only root may read"),
        (Entry(8, True, True), 1_000_000, "a forced collection (g) would hold it for about 500 ms"),
        (Entry(8, True, True), None, "How long a forced collection (g) would hold it is not known"),
    ],
)
def test_the_forecast(entry: Entry, objects: int | None, words: str) -> None:
    facts = replace(FIT, gc=GcState(True, (GENERATION,) * 3, objects))
    assert words in " ".join(forecast(facts, entry))


def found(facts: MachineFacts, name: str) -> tuple[Standing, str]:
    one = next(each for each in judge_machine(facts) if each.name == name)
    return one.standing, f"{one.text} {one.remedy}"


@pytest.mark.parametrize(
    ("machine", "name", "standing", "words"),
    [
        (MACHINE, "kernel", Standing.FINE, "Linux 6.1.0-18-amd64 on x86_64"),
        (replace(MACHINE, architecture="riscv64"), "kernel", Standing.BLOCKED, "riscv64."),
        (replace(MACHINE, kernel="4.18.0"), "kernel", Standing.BLOCKED, "too old"),
        (MACHINE, "user", Standing.LIMITED, "sudo memtui attach PID"),
        (replace(MACHINE, may_trace_all=True), "user", Standing.FINE, "processes of all users"),
        (replace(MACHINE, user="root"), "user", Standing.LIMITED, "--cap-add=SYS_PTRACE"),
        (MACHINE, "yama", Standing.FINE, "does not restrict"),
        (replace(MACHINE, ptrace_scope=1), "yama", Standing.BLOCKED, "sysctl kernel.yama.ptrace_scope=0"),
        (replace(MACHINE, ptrace_scope=2), "yama", Standing.BLOCKED, "sudo memtui attach PID"),
        (replace(MACHINE, ptrace_scope=3), "yama", Standing.BLOCKED, "until the next boot"),
        (replace(MACHINE, ptrace_scope=2, may_trace_all=True), "yama", Standing.FINE, "does not hold for you"),
        (replace(MACHINE, ptrace_scope=3, may_trace_all=True), "yama", Standing.BLOCKED, "memtui run"),
        (replace(MACHINE, in_user_namespace=True), "namespace", Standing.LIMITED, "out of reach"),
    ],
)
def test_the_machine(machine: Machine, name: str, standing: Standing, words: str) -> None:
    told = found(replace(FACTS, machine=machine), name)
    assert told[0] is standing
    assert words in told[1]


@pytest.mark.parametrize(
    ("facts", "name", "standing", "words"),
    [
        (FACTS, "ptrace", Standing.FINE, "works"),
        (replace(FACTS, ptrace=NO), "ptrace", Standing.BLOCKED, "do-this"),
        (FACTS, "channel", Standing.FINE, "pidfd_getfd"),
        (
            replace(FACTS, fetching="pidfd_getfd: no."),
            "channel",
            Standing.LIMITED,
            "pidfd_getfd: no. The agent calls",
        ),
        (FACTS, "memray", Standing.FINE, "importable"),
        (replace(FACTS, memray=None), "memray", Standing.LIMITED, "not importable"),
        (FACTS, "gdb", Standing.FINE, "not installed"),
        (replace(FACTS, gdb="/usr/bin/gdb"), "gdb", Standing.FINE, "/usr/bin/gdb"),
    ],
)
def test_the_tools_of_the_machine(facts: MachineFacts, name: str, standing: Standing, words: str) -> None:
    told = found(facts, name)
    assert told[0] is standing
    assert words in told[1]


def test_the_lines_about_the_machine() -> None:
    lines = list(machine_lines(judge_machine(replace(FACTS, ptrace=NO)), 60))
    assert "ptrace    NO: No. So it is. seccomp: no filter over memtui's" in lines
    assert "          -> Change it: do-this 7" in lines
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (replace(MACHINE, ptrace_scope=2), "Only root may trace"),
        (replace(MACHINE, ptrace_scope=3, seccomp=2), "until the next boot"),
        (replace(MACHINE, seccomp=2), "seccomp"),
        (replace(MACHINE, ptrace_scope=1), "security policy"),
    ],
)
def test_why_not_even_a_child_may_be_traced(machine: Machine, words: str) -> None:
    text = str(explain_refusal("Operation not permitted", machine))
    assert text.startswith("The kernel refuses ptrace to memtui: Operation not permitted.")
    assert words in text


def test_kernels() -> None:
    assert kernel_version("5.10.0-8-amd64") == (5, 10)
    assert kernel_version("strange") > (6, 0)
    check_machine(replace(MACHINE, kernel="5.3.0"))
    with pytest.raises(RefusedError, match=r"needs Linux 5\.3"):
        check_machine(replace(MACHINE, kernel="5.2.21"))


PROCESS = PythonProcess(
    4242, "ann", "3.11.7", 12 * 1024**2, 1000.0, ("/usr/bin/python3", "app.py"), Rung.TRACER, None
)
FOREIGN = Obstacle("The memory of process 9 may not be read.", "It belongs to user bob.", "sudo memtui attach 9")
CLOSED = replace(PROCESS, pid=9, user="bob-the-builder", python=None, best=Rung.PROCESS, obstacle=FOREIGN)


def test_the_list() -> None:
    lines = list(as_text([PROCESS, CLOSED], 1300.0, 80))
    assert lines[0].split() == ["PID", "USER", "PYTHON", "RSS", "UP", "RUNG", "COMMAND"]
    assert " ".join(lines[1].split()) == "4242 ann 3.11.7 12.0 MiB 5 m 00 s tracer python3 app.py"
    assert lines[2].split()[:3] == ["9", "bob-the+", "–"]
    assert "process (1)" in lines[2]
    note = " ".join(line.strip() for line in lines[4:])
    assert note == "(1) The memory of process PID may not be read. It belongs to user bob. sudo memtui attach PID"


def test_one_note_serves_all_whom_it_concerns() -> None:
    twin = replace(CLOSED, pid=10, obstacle=replace(FOREIGN, what="The memory of process 10 may not be read."))
    twin = replace(twin, obstacle=replace(twin.obstacle or FOREIGN, remedy="sudo memtui attach 10"))
    text = "\n".join(as_text([CLOSED, twin], 1300.0, 80))
    assert text.count("process (1)") == 2
    assert "(2)" not in text


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_list_stays_within_the_terminal(width: int) -> None:
    long = replace(PROCESS, pid=4194303, command=("python", "x" * 300, "line\nbreak\x1b[2J"), rss_bytes=10**14)
    lines = list(as_text([long, CLOSED], 1e9, width))
    assert max(map(len, lines)) <= width
    assert all(line.isprintable() for line in lines)


def test_no_process() -> None:
    assert list(as_text([], 0.0, 80)) == ["There is no Python process here that can be seen."]


def test_the_list_as_json() -> None:
    open_, closed = as_json(PROCESS, 1300.0), as_json(CLOSED, 1300.0)
    assert (open_["rung"], open_["reason"], open_["remedy"], open_["uptime_seconds"]) == ("tracer", None, None, 300.0)
    assert closed["python"] is None
    assert closed["reason"] == "The memory of process 9 may not be read. It belongs to user bob."
    assert closed["remedy"] == "sudo memtui attach 9"
