"""Tokens of logins are kept for their owner alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from executor.warehouse.databricks.token_cache import EXPOSED, NOT_WRITTEN, TokenCache, Tokens

TOKENS = Tokens("access", "refresh", 1.5)


class Kept:
    """A cache, and what it warned of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.cache = TokenCache(path, lambda code, detail: self.warnings.append(code))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "cache" / "dwx" / "tokens.json")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_tokens_are_kept_by_address(kept: Kept) -> None:
    other = Tokens("other", None, 2.5)
    kept.cache.keep("https://a", TOKENS)
    kept.cache.keep("https://b", other)
    assert kept.cache.read("https://a") == TOKENS
    assert kept.cache.read("https://b") == other
    kept.cache.keep("https://a", None)
    assert kept.cache.read("https://a") is None
    assert kept.cache.read("https://b") == other
    assert kept.warnings == []


def test_nobody_else_can_read_them(kept: Kept) -> None:
    kept.path.parent.mkdir(parents=True)
    kept.path.parent.chmod(0o755)
    kept.cache.keep("https://a", TOKENS)
    assert mode(kept.path) == 0o600
    assert mode(kept.path.parent) == 0o700
    assert [path.name for path in kept.path.parent.iterdir()] == ["tokens.json"]


@pytest.mark.parametrize("readable", [0o640, 0o604, 0o620])
def test_what_others_could_read_is_not_used_and_goes(kept: Kept, readable: int) -> None:
    kept.cache.keep("https://a", TOKENS)
    kept.path.chmod(readable)
    assert kept.cache.read("https://a") is None
    assert kept.warnings == [EXPOSED]
    assert not kept.path.exists()


def test_a_link_is_not_followed(kept: Kept, tmp_path: Path) -> None:
    kept.cache.keep("https://a", TOKENS)
    elsewhere = kept.path.rename(tmp_path / "elsewhere.json")
    kept.path.symlink_to(elsewhere)
    assert kept.cache.read("https://a") is None
    kept.cache.keep("https://a", TOKENS)  # replaces the link, not what it leads to
    assert not kept.path.is_symlink()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"https://a": {"access_token": "x"}}'])
def test_a_file_that_is_none_of_ours_means_no_tokens(kept: Kept, content: str) -> None:
    kept.cache.keep("https://a", TOKENS)
    kept.path.write_text(content)
    assert kept.cache.read("https://a") is None


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = Kept(tmp_path / "file" / "dwx" / "tokens.json")
    kept.cache.keep("https://a", TOKENS)
    assert kept.warnings == [NOT_WRITTEN]
    with kept.cache.locked():
        assert kept.cache.read("https://a") is None


def test_no_representation_shows_a_token() -> None:
    assert repr(TOKENS) == "Tokens(expires_at=1.5)"
