"""How tests compare a map with a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2fin_cli.labels.limits import DEFAULT_LIMITS, Limits
from s2fin_cli.workflows.evaluate import run
from s2fin_cli.workflows.options.evaluate import EvaluateOptions

if TYPE_CHECKING:
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.core.options import StrPath


def assess(
    map_path: StrPath, reference: StrPath, *, label_field: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> Accuracy:
    """The accuracy of a map."""
    options = EvaluateOptions(map=map_path, reference=reference, label_field=label_field)
    return run(options, limits=limits).accuracy
