"""Print a record in the shape of the Gateway API's ConformanceReport, one YAML document a mesh."""

from __future__ import annotations

import argparse

from conformance.report.views.whole import add_record, read_record


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_record(parser)
    parser.add_argument("--organization", default="", metavar="NAME", help="who maintains the mesh")
    parser.add_argument("--url", default="", metavar="URL",
                        help="where to read about the mesh (default: its homepage, where its description has one)")
    parser.add_argument("--contact", action="append", default=[], metavar="WHO",
                        help="whom to ask: @name, an address; repeatable")
    parser.add_argument("--mode", default="default", metavar="NAME", help="a word for how the mesh was configured")


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance import mesh as meshes  # noqa: PLC0415 - only this command needs them
    from conformance.report import gateway_report  # noqa: PLC0415 - as above

    report = read_record(chosen.record)
    # By name only, and only one that is known: a record can call a mesh anything, a path as well.
    known = {name: meshes.load(name).homepage for name in meshes.names()}
    pages = {name: page for name, page in known.items() if page.startswith("https://")}
    implementers = {
        mesh.name: gateway_report.Implementer(chosen.organization, chosen.url or pages.get(mesh.name, ""),
                                              tuple(chosen.contact))
        for mesh in report.header.meshes
    }
    print(gateway_report.render(report, implementers, chosen.mode), end="")
    return 0
