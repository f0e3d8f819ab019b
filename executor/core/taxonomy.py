"""What can go wrong at the warehouse, as data: one row per kind of failure.

Theory. A failure is recognised by its error class first, because classes are what the warehouse
promises; by phrases of its message where there is no class (older errors, the layers in front of
the warehouse); by HTTP status; and at last by the class of its SQLSTATE, which says little but is
always there. The rows are in order: where several match by the same evidence, the first one wins.

Classes: https://docs.databricks.com/error-messages/error-classes. A pattern of a class is its name,
or its beginning followed by `*`; a name also stands for its subclasses (`NAME.SUBCLASS`).
Own classes begin with `DWX_`.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.events import ChoiceName, Retry, Severity


@dataclass(frozen=True, slots=True)
class Rule:
    category: str
    severity: Severity
    default: ChoiceName
    """What to do when nobody answers and no policy says otherwise."""
    retry: Retry
    suggestion: str
    classes: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    """Regular expressions, compared without regard to case."""
    statuses: tuple[int, ...] = ()
    during: tuple[str, ...] = ()
    """Stages in which the row holds; empty means all."""


_ASLEEP = ("connect", "execute")

RULES: tuple[Rule, ...] = (
    # --- the way to the warehouse ---------------------------------------------------------------
    Rule(
        "cancelled", "critical", "abort", "user",
        "Run it again when you are ready; nothing was executed.",
        classes=("DWX_CANCELLED",),
    ),
    Rule(
        "connect", "fatal", "abort", "no",
        "Install a version of databricks-sql-connector that dwx supports.",
        classes=("DWX_CONNECTOR_UNPROTECTED",),
    ),
    Rule(
        "connect", "fatal", "abort", "no",
        "This warehouse does not speak Thrift: use a serverless or pro SQL warehouse.",
        classes=("KP001",),
        phrases=(r"\bKP001\b", r"databricks-sql-kernel"),
    ),
    Rule(
        "auth", "fatal", "abort", "user",
        "Set DATABRICKS_TOKEN to a valid access token, or use --auth-type oauth.",
        classes=("DWX_NO_CREDENTIALS", "UNAUTHENTICATED", "INVALID_TOKEN"),
        phrases=(
            r"invalid access token", r"access token (?:is |has )?(?:expired|invalid)",
            r"credential was not sent", r"token (?:is |has )?expired",
        ),
    ),
    Rule(
        "connect", "fatal", "abort", "no",
        "Install it: pip install 'databricks-workflow-executor[local]'.",
        classes=("DWX_LOCAL_NOT_INSTALLED",),
    ),
    Rule(
        "connect", "fatal", "abort", "user",
        "Wait for the run that holds the embedded warehouse's files, or give --local another path.",
        classes=("DWX_LOCAL_WAREHOUSE",),
    ),
    Rule(
        "auth", "fatal", "abort", "user",
        "Start again and complete the login in the browser within the time given.",
        classes=("DWX_LOGIN_FAILED",),
    ),
    Rule(
        "auth", "fatal", "abort", "no",
        "Install it: pip install 'databricks-workflow-executor[sdk]'.",
        classes=("DWX_SDK_NOT_INSTALLED",),
    ),
    Rule(
        "auth", "fatal", "abort", "user",
        "Set what this kind of credential needs, or choose another with --auth-type.",
        classes=("DWX_SDK_AUTH_FAILED",),
    ),
    Rule(
        "permission", "fatal", "abort", "no",
        "The workspace admits only listed networks: connect from one of them.",
        phrases=(r"IP access list", r"\bIP ACL", r"blocked by .* IP "),
    ),
    Rule(
        "permission", "fatal", "abort", "user",
        "Ask for CAN USE on this SQL warehouse.",
        phrases=(r"not authorized to use (?:this|the) (?:SQL )?(?:warehouse|endpoint)",),
    ),
    Rule(
        "connect", "fatal", "abort", "user",
        "Check --server-hostname, the network and the name servers.",
        classes=("DWX_HOST_UNKNOWN",),
        phrases=(r"Failed to resolve", r"Name or service not known", r"getaddrinfo failed"),
    ),
    Rule(
        "connect", "fatal", "abort", "user",
        "Check host, certificate authority bundle (SSL_CERT_FILE) and proxy.",
        classes=("DWX_TLS_FAILED",),
        phrases=(r"CERTIFICATE_VERIFY_FAILED",),
    ),
    Rule(
        "connect", "fatal", "abort", "user",
        "Check HTTPS_PROXY and NO_PROXY in the environment.",
        classes=("DWX_PROXY_FAILED",),
    ),
    Rule(
        "connect", "fatal", "abort", "user",
        "Check --server-hostname, firewall and VPN; the server cannot be reached.",
        classes=("DWX_CONNECTION_REFUSED", "DWX_CONNECT_TIMEOUT", "DWX_CONNECT_FAILED"),
    ),
    # --- the warehouse itself -------------------------------------------------------------------
    Rule(
        "warehouse_failed", "fatal", "abort", "user",
        "Look at the warehouse's state and health message, start it, then run again.",
        classes=("DWX_START_TIMEOUT", "CLOUD_PROVIDER_*"),
        phrases=(
            r"(?:warehouse|endpoint|cluster).*\b(?:stopped|deleted|terminated)\b",
            r"cannot start (?:the )?(?:warehouse|endpoint|cluster)",
            r"(?:warehouse|endpoint|cluster).*failed to start", r"quota exceeded",
            r"CLOUD_PROVIDER_[A-Z_]+",
        ),
    ),
    Rule(
        "orphan_conflict", "moderate", "retry", "auto",
        "A statement of an earlier run may still be loading these files: wait for it to end.",
        classes=("COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED",),
    ),
    Rule(
        "transient_server", "moderate", "retry", "auto",
        "The statement was not scheduled; it can be sent again.",
        phrases=(r"could not be scheduled",),
    ),
    Rule(
        "warehouse_starting", "warning", "retry", "auto",
        "The warehouse is starting; wait for it.",
        classes=("TEMPORARILY_UNAVAILABLE",),
        phrases=(
            r"(?:warehouse|endpoint|cluster)\b.*\b(?:is|being) (?:temporarily unavailable|start)",
            r"\bSTARTING\b", r"Couldn't create directory",
        ),
        during=_ASLEEP,
    ),
    Rule(
        # later on, the same words say that the session is gone
        "warehouse_starting", "warning", "retry", "auto",
        "The warehouse is starting; wait for it.",
        phrases=(r"has not been initialized",),
        during=("connect",),
    ),
    Rule(
        "throttled", "warning", "retry", "auto",
        "The warehouse is busy; wait as long as it asks for.",
        classes=("RESOURCE_EXHAUSTED", "REQUEST_LIMIT_EXCEEDED"),
        phrases=(r"queue is full", r"too many (?:concurrent )?requests", r"rate limit"),
        statuses=(429,),
    ),
    # --- session and statement handles ----------------------------------------------------------
    Rule(
        "handle_lost", "moderate", "check", "after_check",
        "The statement was lost from sight: look whether it committed before running it again.",
        classes=("INVALID_HANDLE.OPERATION_ABANDONED", "INVALID_HANDLE.OPERATION_NOT_FOUND"),
        phrases=(r"OPERATION_ABANDONED", r"unexpectedly closed server side"),
    ),
    Rule(
        "session_lost", "moderate", "check", "after_check",
        "The session ended under a running statement: look whether it committed.",
        classes=("INVALID_HANDLE*",),
        phrases=(r"Invalid SessionHandle", r"Session (?:handle )?\S* ?is closed",
                     r"Session handle .* (?:not been initialized|already closed)"),
        during=("poll", "fetch"),
    ),
    Rule(
        "session_lost", "warning", "retry", "auto",
        "The session ended; open a new one, replay USE and SET, and go on.",
        classes=("INVALID_HANDLE*",),
        phrases=(r"Invalid SessionHandle", r"Session (?:handle )?\S* ?is closed",
                     r"Session handle .* (?:not been initialized|already closed)"),
    ),
    Rule(
        "handle_lost", "moderate", "check", "after_check",
        "The statement was lost from sight: look whether it committed before running it again.",
        classes=("RESOURCE_DOES_NOT_EXIST",),
        statuses=(404,),
        during=("poll", "fetch"),
    ),
    Rule(
        "wrong_warehouse", "fatal", "abort", "no",
        "Check --http-path: copy it from the warehouse's connection details.",
        classes=("ENDPOINT_NOT_FOUND", "RESOURCE_DOES_NOT_EXIST"),
        statuses=(404,),
    ),
    Rule("auth", "fatal", "abort", "user",
         "The credentials were refused: set DATABRICKS_TOKEN to a valid access token.",
         statuses=(401,)),
    # --- ends that leave the outcome open -------------------------------------------------------
    Rule(
        "client_poll_gap", "moderate", "check", "after_check",
        "Nobody asked for the statement's state for too long (suspended machine, lost network): "
        "look whether it committed.",
        phrases=(r"timed out due to inactivity",),
    ),
    Rule(
        "timeout", "critical", "abort", "after_check",
        "Raise the statement timeout or use a larger warehouse; the same statement will time out "
        "again.",
        classes=("DWX_STATEMENT_TIMEOUT", "STATEMENT_TIMEOUT", "QUERY_EXECUTION_TIMEOUT*"),
        phrases=(r"has timed out after", r"\b57KD0\b"),
    ),
    Rule(
        "cancelled", "critical", "abort", "after_check",
        "Find out who cancelled it and why, then run it again.",
        classes=("OPERATION_CANCELED", "QUERY_CANCELED", "DWX_STATEMENT_CANCELLED"),
        phrases=(r"\bcancell?ed by (?:the )?user",
                     r"^(?:query|statement|operation) (?:was |has been )?cancell?ed"),
    ),
    Rule(
        "transport_ambiguous", "critical", "check", "after_check",
        "The connection was lost after the statement was sent: look whether it committed before "
        "running it again.",
        classes=("DWX_CONNECTION_LOST", "DWX_CANCEL_UNCONFIRMED"),
        statuses=(502, 503, 504),
        during=("execute", "poll", "fetch"),
    ),
    Rule(
        "warehouse_starting", "warning", "retry", "auto",
        "The warehouse is starting; wait for it.",
        statuses=(503,), during=("connect",),
    ),
    Rule(
        "transport", "warning", "retry", "auto",
        "The connection was lost; it can be tried again safely.",
        classes=("DWX_CONNECTION_LOST",),
        statuses=(500, 502, 504),
        during=("connect", "close"),
    ),
    # --- names and privileges -------------------------------------------------------------------
    Rule(
        "syntax", "critical", "abort", "no",
        "Correct the SQL at the line shown.",
        classes=("PARSE_*", "INVALID_SQL_SYNTAX*"),
    ),
    Rule(
        "missing_column", "critical", "abort", "no",
        "Correct the column's name, or check that its table has been built as expected.",
        classes=("UNRESOLVED_COLUMN", "UNRESOLVED_FIELD", "UNRESOLVED_MAP_KEY"),
    ),
    Rule(
        "missing_function", "critical", "abort", "no",
        "Use a function this warehouse knows; the SQL may be for another dialect.",
        classes=("UNRESOLVED_ROUTINE", "UNRESOLVABLE_TABLE_VALUED_FUNCTION"),
    ),
    Rule(
        "missing_object", "critical", "abort", "user",
        "Create the table or correct its name; a table of this workflow is made by an earlier "
        "file.",
        classes=("TABLE_OR_VIEW_NOT_FOUND", "DELTA_TABLE_NOT_FOUND", "VIEW_NOT_FOUND",
                 "DELTA_MISSING_DELTA_TABLE", "DELTA_PATH_DOES_NOT_EXIST"),
        phrases=(r"table or view not found",),
    ),
    Rule(
        "missing_namespace", "fatal", "abort", "no",
        "Create the catalog or schema, or correct --catalog and --schema.",
        classes=("SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND", "NO_SUCH_CATALOG*",
                 "SCHEMA_DOES_NOT_EXIST", "CATALOG_DOES_NOT_EXIST", "INVALID_CATALOG*"),
        phrases=(r"(?:catalog|schema|database) '?\S+'? (?:does not exist|not found)",),
    ),
    Rule(
        "exists", "critical", "abort", "after_check",
        "Drop or rename what is in the way; it may be left from an earlier run, or be this "
        "statement's own first attempt.",
        classes=("TABLE_OR_VIEW_ALREADY_EXISTS", "DELTA_TABLE_ALREADY_EXISTS",
                 "SCHEMA_ALREADY_EXISTS"),
    ),
    Rule(
        "storage_conflict", "critical", "abort", "no",
        "Clear the table's location or choose another; files of another table are there.",
        classes=("DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION", "LOCATION_OVERLAP"),
    ),
    Rule(
        "permission", "fatal", "abort", "user",
        "Ask the owner for the privilege named in the message.",
        classes=("INSUFFICIENT_PERMISSIONS", "PERMISSION_DENIED",
                 "UNAUTHORIZED_ACCESS", "INSUFFICIENT_PRIVILEGES"),
        phrases=(
            r"does not have (?:the )?(?:USE|CREATE|MODIFY|SELECT|MANAGE|EXECUTE|READ|WRITE|OWN)",
            r"permission denied",
        ),
        statuses=(403,),
    ),
    # --- the data and the statement -------------------------------------------------------------
    Rule(
        "data_error", "critical", "abort", "no",
        "Make the MERGE source unique on the join key.",
        classes=("DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE",
                 "MERGE_CARDINALITY_VIOLATION"),
    ),
    Rule(
        "data_error", "critical", "abort", "no",
        "Correct the value, or use the try_ form of the function (try_cast, try_divide, …).",
        classes=("CAST_INVALID_INPUT", "CAST_OVERFLOW*", "ARITHMETIC_OVERFLOW", "DIVIDE_BY_ZERO",
                 "BINARY_ARITHMETIC_OVERFLOW", "NUMERIC_VALUE_OUT_OF_RANGE",
                 "INVALID_ARRAY_INDEX*", "CANNOT_PARSE_TIMESTAMP", "DATETIME_OVERFLOW",
                 "MAP_KEY_DOES_NOT_EXIST", "CONVERSION_INVALID_INPUT",
                 "DELTA_NOT_NULL_CONSTRAINT_VIOLATED", "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES",
                 "NOT_NULL_CONSTRAINT_VIOLATION"),
        phrases=(r"\bdivision by zero\b",),
    ),
    Rule(
        "schema_mismatch", "critical", "abort", "no",
        "Give both sides the same columns in the same order with the same types.",
        classes=("DATATYPE_MISMATCH", "INCOMPATIBLE_COLUMN_TYPE", "NUM_COLUMNS_MISMATCH",
                 "DELTA_INSERT_COLUMN_ARITY_MISMATCH", "DELTA_FAILED_TO_MERGE_FIELDS",
                 "INSERT_COLUMN_ARITY_MISMATCH", "INCOMPATIBLE_DATA_FOR_TABLE",
                 "DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES", "DELTA_DUPLICATE_COLUMNS_FOUND",
                 "COLUMN_ALREADY_EXISTS", "_LEGACY_ERROR_TEMP_DELTA_0007"),
    ),
    Rule(
        "semantic", "critical", "abort", "no",
        "Correct the SQL: it says something the warehouse cannot give one meaning.",
        classes=("AMBIGUOUS_REFERENCE", "MISSING_AGGREGATION", "MISSING_GROUP_BY", "GROUPING_*",
                 "GROUP_BY_*", "DUPLICATED_MAP_KEY", "WRONG_NUM_ARGS", "INVALID_PARAMETER_VALUE",
                 "EXPECT_*", "WRONG_COMMAND_FOR_OBJECT_TYPE"),
    ),
    # --- Delta ----------------------------------------------------------------------------------
    Rule(
        "concurrency", "moderate", "retry", "auto",
        "Somebody else wrote to the table; nothing was committed, and it can run again.",
        classes=("DELTA_CONCURRENT_*", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED",
                 "DELTA_MAX_COMMIT_RETRIES_EXCEEDED", "CONCURRENT_*"),
        phrases=(r"\bConcurrent(?:Append|DeleteRead|DeleteDelete|Write|Transaction)Exception",),
    ),
    Rule(
        "maintenance", "warning", "continue", "auto",
        "OPTIMIZE did not finish; the data is not affected.",
        classes=("DELTA_OPTIMIZE_*",),
    ),
    Rule(
        "storage", "critical", "abort", "user",
        "Run it once more; if it fails again, repair the table (its files or its log are missing).",
        classes=("DELTA_LOG_FILE_NOT_FOUND*", "DELTA_STATE_RECOVER_ERROR*",
                 "DELTA_VERSIONS_NOT_CONTIGUOUS", "FAILED_READ_FILE", "DELTA_FILE_NOT_FOUND*"),
        phrases=(r"files? .*may have been updated",),
    ),
    # --- limits and resources -------------------------------------------------------------------
    Rule(
        "resource", "critical", "abort", "user",
        "Use a larger warehouse, or give the statement less to do at once.",
        classes=("SPARK_JOB_CANCELLED", "DRIVER_*", "OUT_OF_MEMORY*", "SPARK_OUT_OF_MEMORY*",
                 "UNABLE_TO_ACQUIRE_MEMORY"),
        phrases=(r"SparkOutOfMemory", r"OutOfMemoryError", r"driver (?:was |has )?stopped",
                     r"Job aborted due to stage failure", r"ExecutorLostFailure",
                     r"lost executor"),
    ),
    Rule(
        "limits", "moderate", "abort", "no",
        "Make the result smaller.",
        classes=("EXCEED_LIMIT_LENGTH", "MAX_BYTES*", "MAX_RESULT_SIZE_EXCEEDED"),
        phrases=(r"result (?:is )?too large",),
    ),
    Rule(
        "config", "moderate", "continue", "no",
        "Leave this setting out: SQL warehouses accept only a few.",
        classes=("CONFIG_NOT_AVAILABLE", "CANNOT_MODIFY_CONFIG", "INVALID_CONF_VALUE",
                 "UNSUPPORTED_SESSION_CONFIGURATION"),
        phrases=(r"configuration \S+ is not available",),
    ),
    Rule(
        "unsupported", "critical", "abort", "no",
        "Rewrite the statement: this warehouse or kind of table does not support it.",
        classes=("UNSUPPORTED_*", "UC_COMMAND_NOT_SUPPORTED", "DELTA_UNSUPPORTED_*",
                 "MULTI_STATEMENT_TRANSACTION_NOT_SUPPORTED", "NOT_SUPPORTED_*", "NOT_IMPLEMENTED"),
    ),
    Rule(
        "transient_server", "moderate", "retry", "auto",
        "The service was unavailable for a moment; it can run again.",
        classes=("METASTORE_*", "TEMPORARILY_UNAVAILABLE"),
        phrases=(r"temporarily unavailable",),
    ),
    Rule(
        "internal", "critical", "abort", "user",
        "Report it to the vendor with the statement's id; running it again sometimes helps.",
        classes=("INTERNAL_ERROR*",),
        statuses=(500,),
    ),
    # --- our own --------------------------------------------------------------------------------
    Rule(
        "internal", "critical", "abort", "user",
        "Report it with the log: the driver raised something dwx does not know.",
        classes=("DWX_CONNECTOR_ERROR",),
    ),
    Rule(
        "quality", "critical", "abort", "no",
        "Look at the rows the check found before anything is published.",
        classes=("DWX_CHECK_*",),
    ),
)  # fmt: skip

_ENDS: dict[str, tuple[str, Severity, Retry]] = {
    "08": ("transport_ambiguous", "critical", "after_check"),
    "0A": ("unsupported", "critical", "no"),
    "21": ("data_error", "critical", "no"),
    "22": ("data_error", "critical", "no"),
    "23": ("data_error", "critical", "no"),
    "28": ("auth", "fatal", "user"),
    "2D": ("concurrency", "moderate", "auto"),
    "40": ("concurrency", "moderate", "auto"),
    "42": ("semantic", "critical", "no"),
    "53": ("limits", "moderate", "no"),
    "54": ("limits", "moderate", "no"),
    "57": ("timeout", "critical", "after_check"),
    "58": ("storage", "critical", "user"),
    "KD": ("storage", "critical", "user"),
    "XX": ("internal", "critical", "user"),
}

_HINTS = {
    "08": "Look whether the statement committed, then run it again.",
    "0A": "Rewrite the statement: it is not supported here.",
    "21": "Correct the data or the statement; it will fail again as it is.",
    "22": "Correct the data or the statement; it will fail again as it is.",
    "23": "Correct the data or the statement; it will fail again as it is.",
    "28": "Check the credentials.",
    "2D": "Somebody else wrote to the table; it can run again.",
    "40": "Somebody else wrote to the table; it can run again.",
    "42": "Correct the SQL; it will fail again as it is.",
    "53": "Give the statement less to do, or use a larger warehouse.",
    "54": "Give the statement less to do, or use a larger warehouse.",
    "57": "The warehouse stopped the statement: look whether it committed, then run it again.",
    "58": "The storage had trouble; running it again may help.",
    "KD": "The data source had trouble; running it again may help.",
    "XX": "Report it to the vendor with the statement's id; running it again sometimes helps.",
}

BY_SQLSTATE: dict[str, Rule] = {
    prefix: Rule(category, severity, "retry" if retry == "auto" else "abort", retry, _HINTS[prefix])
    for prefix, (category, severity, retry) in _ENDS.items()
}
"""The last resort: what the first two characters of a SQLSTATE say."""

UNKNOWN = Rule(
    "unknown", "critical", "abort", "user",
    "Read the message; dwx does not know this error.",
)  # fmt: skip
