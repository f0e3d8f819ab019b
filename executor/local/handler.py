"""The Thrift service (TCLIService) over sessions and operations. Knows no HTTP and no DuckDB."""

from __future__ import annotations

import uuid
from typing import Any

from databricks.sql.thrift_api.TCLIService import ttypes

from executor.local import metadata, rowsets
from executor.local.errors import SqlError
from executor.local.operations import (
    CANCELLED,
    FAILED,
    FINISHED,
    RUNNING,
    TIMED_OUT,
    Operation,
    Registry,
    Work,
)
from executor.local.parameters import bind
from executor.local.results import Result
from executor.local.sent import sent_of
from executor.local.session import Session, set_one
from executor.local.statements import execute

LONG_POLL_S = 5.0
DIRECT_WAIT_S = 5.0
MOST_ROWS = 100_000

_STATES = {
    RUNNING: ttypes.TOperationState.RUNNING_STATE,
    FINISHED: ttypes.TOperationState.FINISHED_STATE,
    FAILED: ttypes.TOperationState.ERROR_STATE,
    CANCELLED: ttypes.TOperationState.CANCELED_STATE,
    TIMED_OUT: ttypes.TOperationState.TIMEDOUT_STATE,
}
_OK = ttypes.TStatusCode.SUCCESS_STATUS
_ERROR = ttypes.TStatusCode.ERROR_STATUS
_BAD_HANDLE = ttypes.TStatusCode.INVALID_HANDLE_STATUS


def _ok() -> ttypes.TStatus:
    return ttypes.TStatus(statusCode=_OK)


def _failed(exc: SqlError) -> ttypes.TStatus:
    return ttypes.TStatus(
        statusCode=_ERROR, sqlState=exc.sqlstate, errorMessage=exc.text, displayMessage=exc.text
    )


class Handler:
    """One method per call of the protocol; names and arguments are the protocol's."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    # sessions ------------------------------------------------------------------------------

    def OpenSession(self, req: Any) -> Any:  # noqa: N802 -- the protocol's name
        session = Session()
        wanted = req.initialNamespace
        try:
            for key, value in (req.configuration or {}).items():
                low = key.lower()
                if low.startswith(("spark.", "set:")):
                    continue
                set_one(session, low, value)
            if wanted is not None and (wanted.catalogName or wanted.schemaName):
                self._enter(session, wanted.catalogName, wanted.schemaName)
        except SqlError as exc:
            return ttypes.TOpenSessionResp(
                status=_failed(exc),
                serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V8,
            )
        self._registry.open(session)
        handle = ttypes.TSessionHandle(
            sessionId=ttypes.THandleIdentifier(guid=session.id.bytes, secret=uuid.uuid4().bytes),
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V8,
        )
        return ttypes.TOpenSessionResp(
            status=_ok(),
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V8,
            sessionHandle=handle,
            configuration={},
            initialNamespace=ttypes.TNamespace(
                catalogName=session.catalog, schemaName=session.schema
            ),
            canUseMultipleCatalogs=True,
        )

    def _enter(self, session: Session, catalog: str | None, schema: str | None) -> None:
        engine = self._registry.engine
        catalog, schema = (catalog or session.catalog).lower(), (schema or "default").lower()
        con = engine.connect()
        try:
            engine.catalogs.need_schema(con, catalog, schema)
        finally:
            con.close()
        session.catalog, session.schema = catalog, schema

    def CloseSession(self, req: Any) -> Any:  # noqa: N802
        guid = req.sessionHandle.sessionId.guid
        if not self._registry.close_session(guid):
            return ttypes.TCloseSessionResp(status=_no_session(guid))
        return ttypes.TCloseSessionResp(status=_ok())

    def GetInfo(self, req: Any) -> Any:  # noqa: N802
        names = {17: "Spark SQL", 13: "Spark SQL", 18: "4.0.0"}
        return ttypes.TGetInfoResp(
            status=_ok(),
            infoValue=ttypes.TGetInfoValue(stringValue=names.get(req.infoType, "")),
        )

    # statements ----------------------------------------------------------------------------

    def ExecuteStatement(self, req: Any) -> Any:  # noqa: N802
        session = self._registry.session(req.sessionHandle.sessionId.guid)
        if session is None:
            status = _no_session(req.sessionHandle.sessionId.guid)
            return ttypes.TExecuteStatementResp(status=status)
        sql = req.statement
        try:
            params = bind(req.parameters)
        except SqlError as exc:
            return ttypes.TExecuteStatementResp(status=_failed(exc))
        operation = self._registry.submit(
            session, lambda work: execute(work, sql), params, sent_of(req)
        )
        return self._started(
            ttypes.TExecuteStatementResp,
            operation,
            ttypes.TOperationType.EXECUTE_STATEMENT,
            req.getDirectResults,
        )

    def _started(self, response: Any, operation: Operation, kind: int, direct: Any) -> Any:
        handle = ttypes.TOperationHandle(
            operationId=ttypes.THandleIdentifier(guid=operation.id.bytes, secret=b"\0" * 16),
            operationType=kind,
            hasResultSet=True,
        )
        results = None
        if direct is not None:
            results = self._direct(operation, direct.maxRows)
        return response(status=_ok(), operationHandle=handle, directResults=results)

    def _direct(self, operation: Operation, most: int | None) -> Any:
        state = operation.wait(DIRECT_WAIT_S)
        results = ttypes.TSparkDirectResults(operationStatus=_status(operation))
        if state != FINISHED:
            return results
        results.resultSetMetadata = _metadata(operation)
        results.resultSet = _fetched(operation, most)
        if not results.resultSet.hasMoreRows:
            self._registry.close_operation(operation.id.bytes)
            results.closeOperation = ttypes.TCloseOperationResp(status=_ok())
        return results

    def GetOperationStatus(self, req: Any) -> Any:  # noqa: N802
        operation = self._find(req)
        if operation is None:
            return ttypes.TGetOperationStatusResp(status=_no_operation(req))
        operation.wait(LONG_POLL_S)
        return _status(operation)

    def CancelOperation(self, req: Any) -> Any:  # noqa: N802
        operation = self._find(req)
        if operation is None:
            return ttypes.TCancelOperationResp(status=_no_operation(req))
        operation.cancel()
        return ttypes.TCancelOperationResp(status=_ok())

    def CloseOperation(self, req: Any) -> Any:  # noqa: N802
        if not self._registry.close_operation(req.operationHandle.operationId.guid):
            return ttypes.TCloseOperationResp(status=_no_operation(req))
        return ttypes.TCloseOperationResp(status=_ok())

    def GetResultSetMetadata(self, req: Any) -> Any:  # noqa: N802
        operation = self._find(req)
        if operation is None:
            return ttypes.TGetResultSetMetadataResp(status=_no_operation(req))
        return _metadata(operation)

    def FetchResults(self, req: Any) -> Any:  # noqa: N802
        operation = self._find(req)
        if operation is None:
            return ttypes.TFetchResultsResp(status=_no_operation(req), hasMoreRows=False)
        if operation.state != FINISHED:
            text = f"No results: the statement is {operation.state}."
            status = ttypes.TStatus(statusCode=_ERROR, errorMessage=text, displayMessage=text)
            return ttypes.TFetchResultsResp(status=status, hasMoreRows=False)
        found = _fetched(operation, req.maxRows)
        if req.includeResultSetMetadata:
            found.resultSetMetadata = _metadata(operation)
        return found

    def _find(self, req: Any) -> Operation | None:
        return self._registry.operation(req.operationHandle.operationId.guid)

    # metadata ------------------------------------------------------------------------------

    def _describe(self, req: Any, response: Any, kind: int, work: Work) -> Any:
        session = self._registry.session(req.sessionHandle.sessionId.guid)
        if session is None:
            return response(status=_no_session(req.sessionHandle.sessionId.guid))
        operation = self._registry.submit(session, work)
        return self._started(response, operation, kind, req.getDirectResults)

    def GetCatalogs(self, req: Any) -> Any:  # noqa: N802
        return self._describe(
            req, ttypes.TGetCatalogsResp, ttypes.TOperationType.GET_CATALOGS, metadata.catalogs
        )

    def GetSchemas(self, req: Any) -> Any:  # noqa: N802
        return self._describe(
            req,
            ttypes.TGetSchemasResp,
            ttypes.TOperationType.GET_SCHEMAS,
            lambda work: metadata.schemas(work, req.catalogName, req.schemaName),
        )

    def GetTables(self, req: Any) -> Any:  # noqa: N802
        return self._describe(
            req,
            ttypes.TGetTablesResp,
            ttypes.TOperationType.GET_TABLES,
            lambda work: metadata.tables(
                work, req.catalogName, req.schemaName, req.tableName, req.tableTypes
            ),
        )

    def GetColumns(self, req: Any) -> Any:  # noqa: N802
        return self._describe(
            req,
            ttypes.TGetColumnsResp,
            ttypes.TOperationType.GET_COLUMNS,
            lambda work: metadata.columns(
                work, req.catalogName, req.schemaName, req.tableName, req.columnName
            ),
        )

    def GetTableTypes(self, req: Any) -> Any:  # noqa: N802
        def work(_: Any) -> Result:
            return Result(metadata._texts("TABLE_TYPE"), [("TABLE",), ("VIEW",)])

        return self._describe(
            req, ttypes.TGetTableTypesResp, ttypes.TOperationType.GET_TABLE_TYPES, work
        )


def _status(operation: Operation) -> Any:
    state = operation.state
    response = ttypes.TGetOperationStatusResp(
        status=_ok(),
        operationState=_STATES[state],
        operationStarted=operation.started_ms,
        operationCompleted=operation.completed_ms or None,
        hasResultSet=True,
        numModifiedRows=operation.result.modified if state == FINISHED else None,
    )
    if operation.error is not None:
        response.sqlState = operation.error.sqlstate
        response.errorMessage = response.displayMessage = operation.error.text
        response.diagnosticInfo = operation.stack
    return response


def _metadata(operation: Operation) -> Any:
    return ttypes.TGetResultSetMetadataResp(
        status=_ok(),
        schema=rowsets.schema(operation.result.columns),
        resultFormat=ttypes.TSparkRowSetType.COLUMN_BASED_SET,
        lz4Compressed=False,
        isStagingOperation=False,
    )


def _fetched(operation: Operation, most: int | None) -> Any:
    first, rows, more = operation.fetch(min(most or MOST_ROWS, MOST_ROWS))
    return ttypes.TFetchResultsResp(
        status=_ok(),
        hasMoreRows=more,
        results=rowsets.row_set(operation.result.columns, rows, first),
    )


def _no_session(guid: bytes) -> Any:
    shown = uuid.UUID(bytes=guid) if len(guid) == 16 else guid.hex()
    text = f"Invalid SessionHandle: SessionHandle [{shown}]"
    return ttypes.TStatus(
        statusCode=_BAD_HANDLE, sqlState="HY000", errorMessage=text, displayMessage=text
    )


def _no_operation(req: Any) -> Any:
    guid = req.operationHandle.operationId.guid
    shown = uuid.UUID(bytes=guid) if len(guid) == 16 else guid.hex()
    text = f"RESOURCE_DOES_NOT_EXIST: Command {shown} does not exist."
    return ttypes.TStatus(
        statusCode=_BAD_HANDLE, sqlState="HY000", errorMessage=text, displayMessage=text
    )
