import pickle

import pytest

from millrace.contracts import errors
from millrace.contracts.errors import MillraceError, TerminalError, TransientError

TYPES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, MillraceError)]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_between_processes(kind: type[MillraceError]):
    before = kind("it broke", field="target", remedy="mend it")
    after = pickle.loads(pickle.dumps(before))
    assert type(after) is kind
    assert (after.message, after.field, after.remedy, str(after)) == (
        before.message,
        before.field,
        before.remedy,
        str(before),
    )


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_each_error_is_terminal_or_transient_and_has_a_code_status_and_exit_code(kind: type[MillraceError]):
    if kind is not MillraceError:
        assert issubclass(kind, TerminalError) != issubclass(kind, TransientError)
    assert kind.transient == issubclass(kind, TransientError)
    assert 400 <= kind.status <= 599
    assert kind.exit_code in (2, 3, 5, 6)


def test_no_two_types_share_a_code():
    assert len({kind.code for kind in TYPES}) == len(TYPES)


def test_the_text_ends_with_the_remedy():
    assert str(MillraceError("it broke", remedy="mend it")) == "it broke. To fix: mend it"
    assert str(MillraceError("it broke")) == "it broke"


def test_the_public_facts_leave_out_what_is_not_there():
    assert errors.BadInput("no").attrs() == {"error": "bad-input", "message": "no", "transient": False}
    assert errors.CannotReach("no", field="f", remedy="r").attrs() == {
        "error": "cannot-reach",
        "message": "no",
        "field": "f",
        "remedy": "r",
        "transient": True,
    }
