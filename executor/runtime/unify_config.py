"""`--config unify.yml`: the generator's configuration, compared with the SQL it generated.

The name of the canonical id is always read from the SQL. A configuration that names another one is
worth a warning: these files were probably not generated from it.
"""

from __future__ import annotations

from pathlib import Path

from executor.workflow.model import Workflow, WorkflowError
from protocol.events import PlanWarning


def compare(config: Path, workflow: Workflow) -> tuple[PlanWarning, ...]:
    """Warnings where the configuration names canonical ids that no table of the plan carries.

    Errors: `WorkflowError` if the file cannot be read or is not such a configuration.
    """
    import yaml  # only who gives a configuration pays for it

    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        names = [str(one["name"]) for one in content["canonical_ids"]]
    except (OSError, UnicodeError, yaml.YAMLError, LookupError, TypeError) as exc:
        raise WorkflowError(
            "CONFIG_INVALID",
            f"{config} is not a unification configuration: {exc}",
            path=str(config),
            suggestion="Give the YAML the SQL was generated from (with canonical_ids), or leave "
            "--config out: it is only compared with the SQL.",
        ) from exc
    written = [table.rpartition(".")[2] for file in workflow.files for table in file.planned.writes]
    return tuple(
        PlanWarning(
            code="CONFIG_DIFFERS",
            detail=f"{config.name} names the canonical id {name!r}, but no table is called "
            f"{name}_...: were these files generated from it?",
        )
        for name in names
        if not any(table.startswith(f"{name}_".lower()) for table in written)
    )
