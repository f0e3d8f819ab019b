"""The world of a real run: the workflow's directory, and a warehouse, ours or Databricks'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from executor.core.facts import FailureFacts
from executor.core.inputs import Delayed, Examined, Input
from executor.runtime import unify_config
from executor.runtime.credentials import Notice
from executor.runtime.runner import World
from executor.runtime.secrets import Masker
from executor.warehouse.databricks.auth import Credentials, Target
from executor.warehouse.port import ConnectError, CreatePrivilege, Session, Warehouse
from executor.workflow.model import SourceFile, Workflow
from protocol.events import Check, Plan, PlanWarning


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller chose, as far as it makes the world."""

    directory: Path | None
    """`None` for no workflow at all: there is a warehouse to look at, and no more."""
    variables: dict[str, str]
    config: Path | None = None
    local: Path | None = None
    create_namespace: bool = False
    start_timeout_s: float = 600.0
    statement_timeout_s: int | None = None


def make_world(
    choices: Choices,
    target: Target | None,
    credentials: Credentials | None,
    notices: tuple[Notice, ...],
    mask: Masker,
) -> World:
    """The world for these choices; `notices` become warnings of the plan."""

    # sqlglot loads with these, in the thread that reads the plan
    def load() -> Workflow:
        from executor.workflow.load import load_workflow

        if choices.directory is None:
            return Workflow(Path(), None, (), (), (), choices.variables)
        workflow = load_workflow(choices.directory, vars=choices.variables)
        found = tuple(PlanWarning(code=one.code, detail=one.detail) for one in notices)
        if choices.config is not None:
            found = (*found, *unify_config.compare(choices.config, workflow))
        return replace(workflow, warnings=(*found, *workflow.warnings))

    def plan(workflow: Workflow) -> Plan:
        from executor.workflow.plan import plan_event

        # as the caller wrote it: a record says nothing about machines it need not know
        return replace(plan_event(workflow), directory=str(choices.directory or ""))

    def reload(workflow: Workflow, source: SourceFile) -> SourceFile:
        from executor.workflow.load import reload_file

        return reload_file(workflow, source.planned.id, source.planned)

    def generate(workflow: Workflow, loop_id: str, iteration: int, last: SourceFile) -> SourceFile:
        from executor.workflow.loops import generate_iteration

        loop = next(one for one in workflow.loops if one.id == loop_id)
        return generate_iteration(workflow, loop, iteration, last)

    def warehouse(deliver: Callable[[Input], None]) -> Warehouse:
        if choices.local is not None and target is not None:
            return EmbeddedWarehouse(
                choices.local,
                target,
                create=choices.create_namespace,
                checked=lambda check: deliver(Examined(check)),
            )
        if target is None or credentials is None:
            raise ValueError("a run that connects needs a target and credentials")
        from executor.warehouse.databricks.session import DatabricksWarehouse

        return DatabricksWarehouse(
            target,
            credentials,
            start_budget_s=choices.start_timeout_s,
            statement_timeout_s=choices.statement_timeout_s,
            waiting=lambda reason, elapsed, budget: deliver(Delayed(reason, elapsed, budget)),
            checked=lambda check: deliver(Examined(check)),
        )

    return World(
        warehouse=warehouse, load=load, plan=plan, reload=reload, generate=generate, mask=mask
    )


class EmbeddedWarehouse:
    """The embedded warehouse, served from this process, and a session on it like on any other."""

    def __init__(
        self, path: Path, target: Target, *, create: bool, checked: Callable[[Check], None]
    ) -> None:
        self._path = path
        self._target = target
        self._create = create
        self._checked = checked

    def open(self, cancel: Event) -> Session:
        """Starts the warehouse and opens a session. Errors: `ConnectError`."""
        # duckdb and the connector load here, after the first events are out
        try:
            from executor.local.errors import WarehouseError
            from executor.local.service import LocalWarehouse
        except ImportError as exc:
            raise ConnectError(
                FailureFacts(
                    error_class="DWX_LOCAL_NOT_INSTALLED",
                    message=f"the embedded warehouse needs the extra `local`: {exc}",
                    during="connect",
                )
            ) from exc
        from executor.warehouse.databricks.session import DatabricksWarehouse

        try:
            server = LocalWarehouse(self._path)
            server.start()
            if self._create and self._target.catalog and self._target.schema:
                server.create_namespace(self._target.catalog, self._target.schema)
        except WarehouseError as exc:
            facts = FailureFacts(
                error_class="DWX_LOCAL_WAREHOUSE", message=str(exc), during="connect"
            )
            raise ConnectError(facts) from exc
        warehouse = DatabricksWarehouse(
            self._target,
            Credentials("pat", server.token),
            uri=server.uri,
            checked=self._checked,
        )
        try:
            session = warehouse.open(cancel)
        except ConnectError:
            server.close()
            raise
        return _EmbeddedSession(session, server.close)


class _EmbeddedSession:
    """A session that takes its warehouse down with it."""

    def __init__(self, session: Session, stop: Callable[[], None]) -> None:
        self._session = session
        self._stop = stop
        self.execute = session.execute
        self.opened = session.opened
        self.version = session.version
        self.outcome = session.outcome
        self.table_facts = session.table_facts

    def may_create(self, schema: str, cancel: Event) -> tuple[CreatePrivilege, str]:
        return "skipped", "the embedded warehouse has no privileges"

    def close(self) -> None:
        self._session.close()
        self._stop()
