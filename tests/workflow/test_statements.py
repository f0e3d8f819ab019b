"""What ends a statement."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from executor.workflow.model import WorkflowError
from executor.workflow.pieces import pieces
from executor.workflow.statements import scan, scan_inside


def texts(sql: str) -> list[str]:
    return [statement.text for statement in scan(sql)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'a;b'",
        "SELECT 'it''s; one'",
        r"SELECT 'a\'; b'",
        r"SELECT 'ends in a backslash\\'",
        r"SELECT r'\'",
        r'SELECT R"a;\"',
        "SELECT r'a''b;'",
        'SELECT "say ""a;b"" twice"',
        "SELECT 'one' ';two'",
        "SELECT 1 AS `a;``b`",
        "SELECT 1 -- isn't; it\n, 2",
        "SELECT 1 -- goes on \\\nit's; here\n, 2",
        "SELECT 1 -- a lone return ends it\r, 2",
        "SELECT 1 /* it's; /* nested; */ still; */ + 2",
        "SELECT 1 /* /*+ no hint inside; */ + 2",
        "SELECT /*+ BROADCAST(t) */ * FROM t",
        "SELECT begin, end, case, if FROM t",
        "SELECT t.begin, t.end AS end FROM t",
        "SELECT CASE WHEN a THEN CASE b WHEN 1 THEN 2 END ELSE 3 END FROM t",
        "DROP TABLE IF EXISTS t",
        "SELECT IF(a, 1, 2), REPEAT('x', 3) FROM t",
        "BEGIN TRANSACTION",
        "COMMIT",
        "BEGIN SELECT 1; SELECT 2; END",
        "BEGIN END",
        "begin not atomic select 1; end",
        "BEGIN ATOMIC INSERT INTO t VALUES (1); END",
        "work: BEGIN SELECT 1; END work",
        "BEGIN BEGIN SELECT 1; END; SELECT 2; END",
        "BEGIN DECLARE begin INT DEFAULT 1; SET begin = 2; SELECT begin, end FROM t; END",
        "BEGIN IF a > 1 THEN SELECT 1; ELSEIF b THEN SELECT 2; ELSE SELECT 3; END IF; END",
        "BEGIN IF CASE WHEN a THEN b END THEN SELECT 1; END IF; END",
        "BEGIN IF case = 1 THEN SELECT 1; END IF; END",
        "BEGIN IF (SELECT CASE WHEN a THEN b END) THEN SELECT CASE WHEN a THEN b END; END IF; END",
        "BEGIN CASE WHEN a THEN SELECT 1; WHEN b THEN SELECT 2; ELSE SELECT 3; END CASE; END",
        "BEGIN CASE a WHEN 1 THEN SELECT 1; WHEN CASE b WHEN 1 THEN 2 END THEN SELECT 2; END CASE; "
        "END",
        "BEGIN CASE WHEN a THEN SELECT 1; WHEN b THEN BEGIN SELECT 2; END; "
        "ELSE BEGIN SELECT 3; END; END CASE; END",
        "BEGIN IF a THEN SELECT 1; ELSEIF b THEN BEGIN SELECT 2; END; ELSE IF c THEN SELECT 3; END "
        "IF; END IF; END",
        "BEGIN IF case = 1 AND t.then > 2 THEN BEGIN SELECT 1; END; END IF; END",
        "BEGIN IF CASE WHEN a THEN b END THEN BEGIN SELECT 1; END; END IF; END",
        "BEGIN WHILE do < 3 DO BEGIN SET do = do + 1; END; END WHILE; END",
        "BEGIN FOR row AS SELECT a FROM t DO SELECT row.a; END FOR; END",
        "BEGIN WHILE do < 3 DO SET do = do + 1; END WHILE; END",
        "BEGIN REPEAT SET i = i + 1; UNTIL CASE WHEN i > 2 THEN true END END REPEAT; END",
        "BEGIN again: LOOP LEAVE again; END LOOP again; SELECT 1; END",
        "BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN SELECT 1; END; SELECT 1 / 0; END",
        "BEGIN DECLARE EXIT HANDLER FOR SQLSTATE VALUE '22012', NOT FOUND BEGIN SELECT 1; END; END",
        "BEGIN DECLARE CONTINUE HANDLER FOR NOT FOUND SET begin = 1; SELECT 2; END",
        "CREATE PROCEDURE p(begin INT, IN x INT) LANGUAGE SQL AS BEGIN SELECT 1; SELECT 2; END",
        "CREATE OR REPLACE PROCEDURE p() AS body: BEGIN SELECT 1; END body",
        "CREATE FUNCTION f(x INT) RETURNS INT RETURN SELECT MAX(a) AS begin FROM t",
        "CREATE FUNCTION f() RETURNS STRING LANGUAGE PYTHON AS $$\nx = 'a;b'; return \"it's\"\n$$",
        "CREATE FUNCTION f() RETURNS STRING LANGUAGE PYTHON AS $body$ a; $$ b; $body$",
        "SELECT ${catalog}.x, '${schema}' FROM `${catalog}`.t",
        "(SELECT 1) UNION (SELECT 2)",
    ],
)
def test_a_statement_is_one_wherever_it_stands(statement: str) -> None:
    assert texts(f"SELECT 0;\n{statement}\n;SELECT 9") == ["SELECT 0", statement, "SELECT 9"]


def test_comments_and_stray_semicolons_are_no_statements() -> None:
    assert texts("-- only; this\n;;\n/* and ; that */;") == []
    assert texts("SELECT 1; -- done; really\n") == ["SELECT 1"]


def test_a_statement_begins_on_the_line_of_its_first_word_not_of_the_comment_before() -> None:
    found = scan(
        "-- about the first\nSELECT 1;\r\n\r\n/* about\nthe second */  SELECT\n2; SELECT 3"
    )
    assert [(one.line, one.position) for one in found] == [(2, 1), (5, 16), (6, 4)]


def test_the_text_keeps_comments_inside_and_drops_those_around() -> None:
    assert texts("/* a */ SELECT /* b */ 1 -- c\n /* d */;") == ["SELECT /* b */ 1"]


@pytest.mark.parametrize(
    ("sql", "code", "line", "position"),
    [
        ("SELECT 1;\nSELECT 'it''s", "UNTERMINATED_STRING", 2, 8),
        ('SELECT "a\\"', "UNTERMINATED_STRING", 1, 8),
        ("SELECT `a``", "UNTERMINATED_STRING", 1, 8),
        ("SELECT r'a", "UNTERMINATED_STRING", 1, 9),
        ("SELECT 1,\n  $$ a $", "UNTERMINATED_STRING", 2, 3),
        ("SELECT 1\n/* a /* b */ ", "UNTERMINATED_COMMENT", 2, 1),
        ("SELECT /*+ BROADCAST(t)", "UNTERMINATED_COMMENT", 1, 8),
        ("SELECT 1;\n\n  BEGIN SELECT 1;", "UNTERMINATED_BLOCK", 3, 3),
        ("BEGIN\nIF a THEN SELECT 1;\nEND", "UNTERMINATED_BLOCK", 1, 1),
        ("BEGIN\nWHILE a DO SELECT 1;\n", "UNTERMINATED_BLOCK", 2, 1),
        ("BEGIN SELECT 1 END", "UNTERMINATED_BLOCK", 1, 1),
    ],
)
def test_what_is_never_closed_is_an_error_at_its_opening(
    sql: str, code: str, line: int, position: int
) -> None:
    with pytest.raises(WorkflowError) as caught:
        scan(sql, "05_x.sql")
    error = caught.value
    assert (error.code, error.path, error.line) == (code, "05_x.sql", line)
    assert error.position == position
    assert error.suggestion


def test_the_plain_statements_inside_a_script_can_be_had() -> None:
    script = (
        "BEGIN DECLARE n INT; FOR r AS SELECT a FROM t DO INSERT INTO u SELECT r.a; END FOR; "
        "IF n > 1 THEN DELETE FROM v; END IF; END"
    )
    assert [one.text for one in scan_inside(script)] == [
        "DECLARE n INT",
        "SELECT a FROM t",
        "INSERT INTO u SELECT r.a",
        "DELETE FROM v",
    ]
    assert scan_inside("SELECT 1") == ()


# --- laws -------------------------------------------------------------------------------------

BLANKS = st.sampled_from(
    [" ", "\n", "\r\n", "\t ", " -- it's; a comment\n", " /* a ; /* b' */ */ ", "\n-- x \\\n y;\n"]
)
BODY = st.text(st.sampled_from("ab;'\"`\\-*/ \n"), max_size=6)


def escaped(body: str) -> str:
    return body.replace("\\", "\\\\").replace("'", "''")


EXPRESSIONS = st.one_of(
    st.sampled_from(
        ["a", "1", "t.end", "begin", "CASE WHEN a THEN 1 END", "`x``;`", "x:y.z", "f(a)"]
    ),
    BODY.map(lambda body: f"'{escaped(body)}'"),
    BODY.map(lambda body: "`" + body.replace("`", "``") + "`"),
    BODY.map(lambda body: "r'" + body.replace("'", "") + "'"),
    BODY.map(lambda body: "$$" + body + "$$"),
)


@st.composite
def plain_statements(draw: st.DrawFn) -> str:
    start = draw(
        st.sampled_from(["SELECT", "INSERT INTO t SELECT", "SET x =", "USE", "DELETE FROM"])
    )
    rest = [draw(BLANKS) + draw(EXPRESSIONS) for _ in range(draw(st.integers(1, 4)))]
    return start + draw(BLANKS) + ",".join(rest).lstrip()


CONDITIONS = st.sampled_from(
    [
        "a > 1",
        "CASE WHEN a THEN b END",
        "(SELECT CASE a WHEN 1 THEN 2 END)",
        "t.then = 1",
        "'THEN;'",
    ]
)


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    @st.composite
    def block(draw: st.DrawFn) -> str:
        body = "".join(f"{draw(BLANKS)}{draw(inner)};" for _ in range(draw(st.integers(1, 3))))
        gap, condition = draw(BLANKS), draw(CONDITIONS)
        return draw(
            st.sampled_from(
                [
                    f"BEGIN{gap}{body}{gap}END",
                    f"name: BEGIN{gap}{body}{gap}END name",
                    f"BEGIN IF {condition} THEN{gap}{body} ELSE {body}{gap}END IF; END",
                    f"BEGIN CASE WHEN {condition} THEN{gap}{body}{gap}END CASE; END",
                    f"BEGIN WHILE {condition} DO{gap}{body}{gap}END WHILE; END",
                    f"BEGIN FOR r AS SELECT 1 DO{gap}{body}{gap}END FOR; END",
                    f"BEGIN REPEAT{gap}{body} UNTIL {condition} END REPEAT; END",
                    f"BEGIN l: LOOP{gap}{body}{gap}END LOOP l; END",
                    f"CREATE PROCEDURE p(a INT) AS BEGIN{gap}{body}{gap}END",
                    "BEGIN DECLARE EXIT HANDLER FOR NOT FOUND "
                    f"BEGIN{gap}{body}{gap}END; {body} END",
                ]
            )
        )

    return block()


STATEMENTS = st.recursive(plain_statements(), blocks, max_leaves=6)


@settings(deadline=None)
@given(st.lists(st.tuples(BLANKS, STATEMENTS, BLANKS), max_size=5))
def test_scanning_a_join_of_statements_gives_them_back(parts: list[tuple[str, str, str]]) -> None:
    joined = ";".join(before + statement + after for before, statement, after in parts)
    assert texts(joined) == [statement for _, statement, _ in parts]


SOUP = st.lists(
    st.sampled_from(
        ["'", '"', "`", "\\", "--", "/*", "*/", "/*+", ";", "\n", "\r", "$$", "$", "${x}", "r'",
         "a", " ", "BEGIN", "END", "IF", "THEN", "CASE", "é", "END IF", "(", ")"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@settings(deadline=None)
@given(st.one_of(SOUP, st.text()))
@example("a\r\n'b'\r")
def test_the_pieces_laid_end_to_end_are_the_text(text: str) -> None:
    try:
        found = list(pieces(text))
    except WorkflowError:
        return
    assert "".join(piece.text for piece in found) == text
    assert [piece.start for piece in found] == [
        sum(len(before.text) for before in found[:place]) for place in range(len(found))
    ]


@settings(deadline=None)
@given(st.one_of(SOUP, st.text()))
def test_a_scan_never_loses_code(text: str) -> None:
    try:
        found = scan(text)
        code = [piece.text for piece in pieces(text) if piece.is_code and piece.text != ";"]
    except WorkflowError:
        return
    kept = [piece.text for one in found for piece in one.code if piece.text != ";"]
    assert kept == code
    assert all(text[one.start :].startswith(one.text) for one in found)


@settings(deadline=None)
@given(SOUP)
def test_an_error_points_at_a_place_inside_the_text(text: str) -> None:
    error = None
    try:
        scan(text, "x.sql")
    except WorkflowError as exc:
        error = exc
    if error is not None:
        lines = re.split(r"\r\n?|\n", text)
        assert error.line is not None
        assert error.position is not None
        assert error.position <= len(lines[error.line - 1])
