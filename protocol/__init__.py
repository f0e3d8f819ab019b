"""The wire protocol of dwx: events, decisions, framing, codec and the reader of recorded logs.

Depends on the standard library and, where input is validated, on pydantic. Never imports executor.
Import from the module that holds the thing (`protocol.events`, `protocol.log`, ...): nothing is
loaded here, because programs that call dwx often pay for every import.
"""
