"""The world of a real run: the workflow's directory, and a warehouse, ours or Databricks'."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from executor.core.facts import FailureFacts
from executor.core.inputs import Delayed, Examined, Input, LoginNeeded, Noticed
from executor.runtime import unify_config
from executor.runtime.credentials import Notice
from executor.runtime.runner import World
from executor.runtime.secrets import Masker
from executor.warehouse.databricks.auth import Credentials, LoginChoices, Target, Told
from executor.warehouse.port import ConnectError, CreatePrivilege, Session, Warehouse
from executor.workflow.model import SourceFile, Workflow
from protocol.base import timestamp
from protocol.events import Plan, PlanWarning

if TYPE_CHECKING:
    from executor.local.faults import Faults
    from executor.local.service import LocalWarehouse


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller chose, as far as it makes the world."""

    directory: Path | None
    """`None` for no workflow at all: there is a warehouse to look at, and no more."""
    variables: dict[str, str]
    config: Path | None = None
    local: Path | None = None
    create_namespace: bool = False
    faults: Faults | None = None
    """What is to go wrong on the embedded warehouse."""
    start_timeout_s: float = 600.0
    statement_timeout_s: int | None = None
    network_timeout_s: float = 120.0
    login: LoginChoices = field(default_factory=LoginChoices)


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
            return Workflow(Path(), None, "", (), (), (), choices.variables)
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
        if target is None:
            raise ValueError("a run that connects needs a target")

        def reached(credentials: Credentials, uri: str | None = None) -> Warehouse:
            from executor.warehouse.databricks.warehouse import DatabricksWarehouse

            return DatabricksWarehouse(
                target,
                credentials,
                start_budget_s=choices.start_timeout_s,
                statement_timeout_s=choices.statement_timeout_s,
                patience_s=choices.network_timeout_s,
                waiting=lambda reason, elapsed, budget: deliver(Delayed(reason, elapsed, budget)),
                uri=uri,
                login=choices.login,
                told=_told(deliver, mask),
                checked=lambda check: deliver(Examined(check)),
            )

        if choices.local is not None:
            namespace = (target.catalog, target.schema) if choices.create_namespace else None
            return EmbeddedWarehouse(choices.local, namespace, choices.faults, reached)
        if credentials is None:
            raise ValueError("a run that connects needs credentials")
        return reached(credentials)

    return World(
        warehouse=warehouse, load=load, plan=plan, reload=reload, generate=generate, mask=mask
    )


def _told(deliver: Callable[[Input], None], mask: Masker) -> Told:
    """What is said while credentials are obtained: events for programs, stderr for a person."""

    def login(url: str, until: datetime) -> None:
        deliver(LoginNeeded("browser", url, timestamp(until)))
        if sys.stderr is not None:  # closed by whoever started us
            sys.stderr.write(f"Log in with the browser, if it does not open by itself: {url}\n")

    return Told(
        login=login,
        secret=mask.learn,
        warning=lambda code, detail: deliver(Noticed(code, detail)),
    )


class EmbeddedWarehouse:
    """The embedded warehouse, served from this process, and sessions on it like on any other."""

    def __init__(
        self,
        path: Path,
        namespace: tuple[str | None, str | None] | None,
        faults: Faults | None,
        reached: Callable[[Credentials, str], Warehouse],
    ) -> None:
        """`namespace`: catalog and schema to create if they are missing. `reached` is what leads to
        a warehouse with these credentials at this address.
        """
        self._path = path
        self._namespace = namespace
        # one for all sessions: a fault that has struck stays counted when another is opened
        self._faults = faults
        self._reached = reached
        self._serving: tuple[LocalWarehouse, Warehouse] | None = None
        """While it runs: the server, and what leads to it, which knows what it has told already."""

    def open(self, cancel: Event) -> Session:
        """Starts the warehouse, unless it runs, and opens a session. Errors: `ConnectError`."""
        if self._serving is None:
            server = self._start()
            self._serving = server, self._reached(Credentials("pat", server.token), server.uri)
        return _EmbeddedSession(self._serving[1].open(cancel))

    def close(self) -> None:
        """Ends the warehouse; its files are free for others. It starts again when needed."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving[0].close()

    def _start(self) -> LocalWarehouse:
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
        try:
            server = LocalWarehouse(self._path, faults=self._faults or ())
            server.start()
            catalog, schema = self._namespace or (None, None)
            if catalog and schema:
                server.create_namespace(catalog, schema)
        except WarehouseError as exc:
            facts = FailureFacts(
                error_class="DWX_LOCAL_WAREHOUSE", message=str(exc), during="connect"
            )
            raise ConnectError(facts) from exc
        return server


class _EmbeddedSession:
    """A session on a warehouse that has no privileges."""

    def __init__(self, session: Session) -> None:
        self.execute = session.execute
        self.opened = session.opened
        self.version = session.version
        self.outcome = session.outcome
        self.table_facts = session.table_facts
        self.rows = session.rows
        self.size = session.size
        self.close = session.close

    def may_create(self, schema: str, cancel: Event) -> tuple[CreatePrivilege, str]:
        return "skipped", "the embedded warehouse has no privileges"
