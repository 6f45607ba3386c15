import hashlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.contracts.canonical import canonical_json, sha256_bytes, sha256_file, sha256_json, sha256_tree

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_canonical_json_says_the_same_value(value: object):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), values, max_size=6))
def test_the_order_of_keys_changes_nothing(value: dict[str, object]):
    turned = dict(reversed(list(value.items())))
    assert sha256_json(turned) == sha256_json(value)


@given(values, values)
def test_different_values_have_different_texts(one: object, other: object):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json(one) == canonical_json(other)) == same


@pytest.mark.parametrize("value", [math.nan, math.inf, {"x": -math.inf}])
def test_what_json_cannot_carry_is_refused(value: object):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


def test_the_hash_is_that_of_the_compact_sorted_utf8_text():
    expected = hashlib.sha256('{"a":[1,2.5,null],"ä":"☃"}'.encode()).hexdigest()
    assert sha256_json({"ä": "☃", "a": [1, 2.5, None]}) == expected


@given(st.binary(max_size=4096))
def test_a_file_hashes_as_its_bytes(data: bytes):
    assert sha256_bytes(data) == hashlib.sha256(data).hexdigest()


def test_a_file_longer_than_one_chunk_hashes_as_its_bytes(tmp_path: Path):
    data = b"0123456789abcdef" * 70_000
    path = tmp_path / "file"
    path.write_bytes(data)
    assert sha256_file(path) == hashlib.sha256(data).hexdigest()


def test_a_folder_hashes_the_same_in_any_order_and_differently_when_a_name_or_a_byte_changes():
    files = [("a/b", "1" * 64), ("c", "2" * 64)]
    whole = sha256_tree(files)
    assert sha256_tree(reversed(files)) == whole
    assert sha256_tree([("a/x", "1" * 64), ("c", "2" * 64)]) != whole
    assert sha256_tree([("a/b", "1" * 64), ("c", "3" * 64)]) != whole
