"""The use case of examining an installation: what it consists of, and whether it works."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.installation.finding import PROBLEM, Finding
from s2fin_cli.installation.machine import examine_machine
from s2fin_cli.installation.software import examine_software
from s2fin_cli.workflows.self_test import try_map, try_network

if TYPE_CHECKING:
    from s2fin_cli.workflows.options.doctor import DoctorOptions

#: What to do about a scene that could not be mapped where something else does not work either.
AT_FIRST = "solve the other problems first, and run s2fin doctor again"


@dataclass(frozen=True)
class DoctorResult:
    """What was found out about an installation.

    Attributes:
        findings: what was found of each part.
    """

    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[Finding]:
        """The parts that do not work."""
        return [finding for finding in self.findings if finding.status == PROBLEM]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {"problems": len(self.problems), "findings": [finding.to_dict() for finding in self.findings]}


def run(options: DoctorOptions, *, progress: Progress = silent, stop: Stop | None = None) -> DoctorResult:
    """Examine the installation. What does not work is a finding, not an error.

    Args:
        options: the options.
        progress: called as the self test advances.
        stop: ends the self test at its next step once it is set.

    Raises:
        Stopped: it was asked to end.
    """
    listener = stoppable(progress, stop or Stop())
    findings = [*examine_software(), *examine_machine()]
    if options.self_test:
        findings.append(try_network(options.device))
        mapped = try_map(options.device, progress=listener)
        is_first = all(finding.status != PROBLEM for finding in findings)
        findings.append(mapped if is_first or mapped.status != PROBLEM else replace(mapped, remedy=AT_FIRST))
    return DoctorResult(tuple(findings))
