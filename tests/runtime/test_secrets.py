"""No secret survives the masker."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.core.inputs import Failed
from executor.runtime.masked_stderr import MaskedStream
from executor.runtime.secrets import MASK, Masker
from tests.core.drive import error

SECRETS = st.text(min_size=6, max_size=40).filter(lambda text: text.strip() and text not in MASK)


@given(SECRETS, st.text(), st.text())
def test_a_known_secret_is_found_wherever_it_stands(secret: str, before: str, after: str) -> None:
    masked = Masker([secret])(before + secret + after)
    assert masked.count(secret) <= (before + MASK + after).count(secret)


@pytest.mark.parametrize(
    "text",
    [
        "token dapi0123456789abcdef0123456789abcdef end",
        "dapi0123456789abcdef0123456789abcdef-2",
        "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
        "jdbc https://user:hunter2@example.com/x",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    masked = Masker()(text)
    assert MASK in masked
    for part in ("0123456789abcdef0123", "c2lnbmF0dXJl", "hunter2"):
        assert part not in masked


def test_innocent_text_is_left_alone() -> None:
    text = "SELECT 'a://b' AS dapi, `eyJ` FROM t WHERE x = 'dapicture'"
    assert Masker(["hunter2-secret"])(text) == text


def test_every_text_of_an_input_is_masked() -> None:
    record = error()
    record = type(record)(
        **{
            **{name: getattr(record, name) for name in record.__dataclass_fields__},
            "message": "tok-secret-1 refused",
        }
    )
    failed = Failed("f1.s1", 1, None, record, "unknown", "saw tok-secret-1")
    masked = Masker(["tok-secret-1"]).masked(failed)
    assert "tok-secret-1" not in repr(masked)
    assert masked.statement == "f1.s1"
    assert json.dumps(masked.evidence) == f'"saw {MASK}"'


def test_a_secret_is_masked_from_the_moment_it_is_told() -> None:
    mask = Masker(["first-secret"])
    text = "first-secret, then second/secret and second%2Fsecret"
    assert mask(text) == "***, then second/secret and second%2Fsecret"
    mask.learn("second/secret", "tiny")
    assert mask(text) == "***, then *** and ***"
    assert mask("tiny") == "tiny"


def test_what_a_token_request_holds_is_masked() -> None:
    masked = Masker()("grant_type=refresh_token&refresh_token=abc&client_secret=d%2Fe&x=1")
    assert masked == "grant_type=refresh_token&refresh_token=***&client_secret=***&x=1"
    assert Masker()(masked) == masked


def test_standard_error_is_masked_by_whole_lines() -> None:
    real = io.StringIO()
    stream = MaskedStream(real, Masker(["hunter2-secret"]))
    stream.write("first hunter2-")
    stream.write("secret\nsecond hunter2-secret")
    assert real.getvalue() == "first ***\n"
    stream.flush()
    assert real.getvalue() == "first ***\nsecond ***"


def test_a_library_s_traceback_is_masked() -> None:
    real = io.StringIO()
    handler = logging.StreamHandler(MaskedStream(real, Masker(["hunter2-secret"])))
    logger = logging.Logger("a library")
    logger.addHandler(handler)
    try:
        int("refused hunter2-secret")
    except ValueError:
        logger.exception("GET https://ana:pass@example.com/?access_token=abc failed")
    assert "Traceback" in real.getvalue()
    for secret in ("hunter2", "ana:pass", "abc"):
        assert secret not in real.getvalue()
