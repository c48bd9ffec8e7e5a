"""The report as `junit.xml`, for CI systems: one test suite a mesh, one test case a requirement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from conformance.outcome import Outcome, Result
from conformance.report import rows
from conformance.report.collecting import Collecting
from conformance.report.model import Catalogue, MeshUnderTest, Report
from conformance.writing import write_whole

_ELEMENTS = {
    Outcome.FAILED: "failure",
    Outcome.ERROR: "error",
    # JUnit has no word for a failure that is listed: a skip with its reason keeps a CI job green, as it should.
    Outcome.KNOWN_FAILURE: "skipped",
    Outcome.UNSUPPORTED: "skipped",
    Outcome.NOT_APPLICABLE: "skipped",
    Outcome.SKIPPED: "skipped",
}
_TYPES = {Outcome.FAILED: "Nonconformance", Outcome.ERROR: "HarnessError"}


class JUnit(Collecting):
    """Writes `junit.xml` when the run has ended."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return str(self._path)

    def write(self, report: Report) -> None:
        """Write the file."""
        write_whole(self._path, render(report))


def render(report: Report) -> str:
    """The XML of a whole report."""
    root = Element("testsuites", name="mesh-conformance", time=_seconds(report.footer.duration))
    for mesh in report.header.meshes:
        root.append(_suite(report, mesh))
    _count(root, report.results)
    del root.attrib["skipped"]  # the schema that readers share has it for suites only
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(report: Report, mesh: MeshUnderTest) -> Element:
    results = [result for result in report.results if result.mesh == mesh.name]
    suite = Element("testsuite", name=mesh.name, timestamp=report.header.started.removesuffix("Z").partition(".")[0])
    suite.set("time", _seconds(sum(result.duration for result in results)))
    _count(suite, results)
    facts = {"mesh version": mesh.version, "kubernetes": report.header.kubernetes, "seed": str(report.header.seed)}
    for verdict in report.footer.verdicts:
        if verdict.mesh == mesh.name:
            name = f"verdict {verdict.api} {verdict.version}".strip()
            facts[name] = f"{verdict.compliance}, capability {verdict.capability}"
    _properties(suite, facts)
    suite.extend(_case(result, report.header.catalogue) for result in results)
    return suite


def _case(result: Result, catalogue: Catalogue) -> Element:
    classname = ".".join(part for part in (result.mesh, result.api, result.version) if part)
    case = Element("testcase", classname=classname, name=result.requirement, time=_seconds(result.duration))
    facts = {"requirement": result.requirement, "level": result.level.value, "outcome": result.outcome.value,
             "api": result.api, "version": result.version, "reproduce": result.reproduce}
    if described := catalogue.requirements.get(result.requirement):
        facts |= {"title": described.title, "statement": described.statement, "spec": described.spec}
    _properties(case, {name: value for name, value in facts.items() if value})
    element = _ELEMENTS.get(result.outcome)
    if element == "skipped":
        SubElement(case, element, message=f"{result.outcome}: {rows.one_line(rows.reason(result), 500)}")
    elif result.stale:
        SubElement(case, "failure", message=rows.one_line(result.message, 500), type="Stale").text = result.message
    elif element:
        problem = SubElement(case, element, message=rows.one_line(result.message, 500), type=_TYPES[result.outcome])
        problem.text = _text("\n".join(part for part in (result.message, _repeat(result)) if part))
    output = [result.observed, *(rows.sample_line(sample) for sample in result.samples)]
    if any(output):
        SubElement(case, "system-out").text = _text("\n".join(line for line in output if line))
    return case


def _properties(element: Element, facts: Mapping[str, str]) -> None:
    properties = SubElement(element, "properties")
    for name, value in facts.items():
        SubElement(properties, "property", name=name, value=value)


def _repeat(result: Result) -> str:
    return f"repeat it: {result.reproduce}" if result.reproduce else ""


def _text(text: str) -> str:
    """GitLab makes a link of `[[ATTACHMENT|path]]`: a mesh does not get to set one."""
    return text.replace("[[ATTACHMENT|", "[ [ATTACHMENT|")


def _count(element: Element, results: list[Result] | tuple[Result, ...]) -> None:
    elements = ["failure" if result.stale else _ELEMENTS.get(result.outcome) for result in results]
    element.set("tests", str(len(elements)))
    element.set("failures", str(elements.count("failure")))
    element.set("errors", str(elements.count("error")))
    element.set("skipped", str(elements.count("skipped")))


def _seconds(duration: float) -> str:
    return f"{duration:.3f}"
