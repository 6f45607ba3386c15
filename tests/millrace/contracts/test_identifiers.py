import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from millrace.contracts.errors import BadInput
from millrace.contracts.identifiers import (
    IDENTIFIER_PATTERN,
    check_identifier,
    dataset_key,
    new_id,
    parse_model_version,
    parse_partition_key,
)

ALNUM = string.ascii_letters + string.digits
identifiers = st.builds(lambda first, rest: first + rest, st.sampled_from(ALNUM), st.text(ALNUM + "-_", max_size=63))


@given(identifiers)
def test_a_valid_identifier_comes_back_as_it_is(text: str):
    assert check_identifier(text, field="user_id") == text


@given(st.text(max_size=80))
@example("a\n")
@example("a/b")
@example("..")
@example("a|b")
@example("a\x00")
@example("x" * 65)
@example("🙂")
@example("ａ")
@example("")
def test_everything_else_is_refused_with_field_and_remedy(text: str):
    # fullmatch with \Z: `$` alone would let a trailing newline through
    if re.fullmatch(IDENTIFIER_PATTERN.removesuffix("$") + r"\Z", text):
        return
    with pytest.raises(BadInput) as caught:
        check_identifier(text, field="dataset_id")
    assert caught.value.field == "dataset_id"
    assert "1 to 64" in (caught.value.remedy or "")
    assert len(caught.value.message) < 400


@given(identifiers, identifiers)
def test_a_partition_key_is_read_back(user: str, dataset: str):
    key = dataset_key(user, dataset)
    assert parse_partition_key(key.partition_key) == key


@given(identifiers, identifiers, identifiers, identifiers)
def test_different_data_sets_never_share_a_partition_key(u1: str, d1: str, u2: str, d2: str):
    assert (dataset_key(u1, d1).partition_key == dataset_key(u2, d2).partition_key) == ((u1, d1) == (u2, d2))


@pytest.mark.parametrize("key", ["", "nodot", ".", "a.", ".b", "a.b.c", "a b.c", "a.b\n", "x" * 300])
def test_a_key_that_names_no_data_set_is_refused(key: str):
    with pytest.raises(BadInput):
        parse_partition_key(key)


@given(st.integers(1, 999_999_999))
def test_a_model_version_is_read_back(number: int):
    assert parse_model_version(f"v{number}") == number


@pytest.mark.parametrize("text", ["", "v", "v0", "1", "v01", "V1", "v1 ", "v9999999999", "v１"])
def test_what_is_no_model_version_is_refused(text: str):
    with pytest.raises(BadInput):
        parse_model_version(text)


def test_new_ids_say_what_they_name_and_are_never_the_same():
    ids = {new_id("pl") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"pl-[0-9a-f]{20}", one) for one in ids)
