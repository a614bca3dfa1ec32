"""A soak test as JUnit XML: a test case for each check, for the CI that shows tests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from memtui.model.target import Target
from memtui.report.soak import SoakReport, figures, soak_as_text
from memtui.report.times import iso

_CLASS = "memtui.soak"
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, not even escaped."""


def junit_of(soak: SoakReport) -> bytes:
    """The document: ``testsuites`` with one ``testsuite``.

    A broken check is a ``failure``, one that could not be made is ``skipped``, and a target that died is an ``error``
    of the test case "target". Properties are the figures of the summary.
    """
    suite = ET.Element("testsuite")
    _properties(suite, soak)
    for check in soak.result.checks:
        case = _case(suite, check.name, soak)
        if check.broken:
            failure = ET.SubElement(case, "failure", message=_clean(check.text), type=check.name)
            failure.text = _clean("\n".join(soak_as_text(soak)))
        elif check.broken is None:
            ET.SubElement(case, "skipped", message=_clean(check.text))
    _target_case(suite, soak)
    if suite.find("testcase/failure") is None:
        ET.SubElement(suite, "system-out").text = _clean("\n".join(soak_as_text(soak)))
    cases = suite.findall("testcase")
    counted = {
        "name": f"memtui soak {_name(soak.state.target)}",
        "tests": str(len(cases)),
        "failures": str(len(suite.findall("testcase/failure"))),
        "errors": str(len(suite.findall("testcase/error"))),
        "time": f"{soak.state.now_seconds:.3f}",
    }
    suite.attrib.update(counted, skipped=str(len(suite.findall("testcase/skipped"))))
    began = iso(soak.state.started_at)
    if began is not None:
        suite.set("timestamp", began.removesuffix("Z"))
    root = ET.Element("testsuites", counted)
    root.append(suite)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _properties(suite: ET.Element, soak: SoakReport) -> None:
    rss, growth, rate = soak.state.series.rss, soak.result.growth, soak.result.rate
    plain: Iterable[tuple[str, object]] = (
        ("outcome", soak.outcome),
        ("exit_code", soak.exit_code),
        ("verdict", soak.result.diagnosis.verdict.state),
        ("pid", soak.state.target.pid),
        ("python", soak.state.target.python),
        ("seconds", round(soak.state.now_seconds, 3)),
        ("looks", soak.state.series.looks),
        ("rss_first_bytes", rss and rss.first),
        ("rss_last_bytes", rss and rss.last),
        ("rss_max_bytes", rss and rss.max),
        ("growth_bytes", growth and growth.bytes),
        ("growth_bytes_per_second", rate and round(rate.bytes_per_second, 3)),
        *((f"summary.{name}", value) for name, value in figures(soak)),
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in plain:
        if value is not None:
            ET.SubElement(properties, "property", name=name, value=_clean(str(value)))


def _target_case(suite: ET.Element, soak: SoakReport) -> None:
    case = _case(suite, "target", soak)
    ending = soak.state.ending
    if soak.outcome == "died":
        text = ending.text if ending else "The target died."
        ET.SubElement(case, "error", message=_clean(text), type="died")
    elif soak.outcome == "interrupted":
        ET.SubElement(case, "skipped", message="The soak test was interrupted.")


def _case(suite: ET.Element, name: str, soak: SoakReport) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_CLASS, name=name, time=f"{soak.state.now_seconds:.3f}")


def _name(target: Target) -> str:
    return _clean(" ".join(target.command))


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("?", text)
