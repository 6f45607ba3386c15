"""The API as the command line uses it; its problem details become the errors they were."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from millrace.contracts import errors
from millrace.contracts.errors import CannotReach, MillraceError
from millrace.settings import Settings

if TYPE_CHECKING:
    import httpx

_ALIVE_SECONDS = 15.0
_READ_SECONDS = 30.0
# the API answers an upload once it is profiled and stored
_UPLOAD_SECONDS = 1800.0
_BY_CODE: dict[str, type[MillraceError]] = {
    one.code: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, MillraceError) and one is not MillraceError
}


class Api:
    """A connection to the API of this machine."""

    def __init__(self, settings: Settings) -> None:
        import httpx

        self.url = settings.api_url
        token = settings.api_token
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        # the API is on this machine: a proxy set for the network must not see its traffic
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=_READ_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """The JSON behind a path; parameters that are None are left out.

        Raises:
            MillraceError: the error that the API tells of.
            CannotReach: the API does not answer.
        """
        with self._reaching():
            return _json(self._http.get(path, params=_present(params)))

    def post(self, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Any:
        """What the API answers to a JSON body; raises as `get`."""
        with self._reaching():
            return _json(self._http.post(path, json={} if body is None else body, headers=headers))

    def upload(self, path: Path, *, user_id: str, dataset_id: str, name: str) -> dict[str, Any]:
        """The version of the data set that a file became; raises as `get`."""
        fields = {"user_id": user_id, "dataset_id": dataset_id, "name": name}
        with self._reaching(), path.open("rb") as stream:
            answer = self._http.post(
                "/datasets/upload",
                data=fields,
                files={"file": (path.name, stream, "application/octet-stream")},
                timeout=_UPLOAD_SECONDS,
            )
            found: dict[str, Any] = _json(answer)
            return found

    def content(self, path: str) -> bytes:
        """The bytes behind a path; raises as `get`."""
        with self._reaching():
            answer = self._http.get(path)
            if answer.is_error:
                _json(answer)
            return answer.content

    def alive(self) -> bool:
        """Whether the API answers; one that is there, on a busy machine, is given its time."""
        import httpx

        try:
            wait = httpx.Timeout(_ALIVE_SECONDS, connect=2.0)
            return self._http.get("/health/live", timeout=wait).status_code == 200
        except httpx.HTTPError:
            return False

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TransportError as error:
            raise CannotReach(
                f"the API at {self.url} does not answer ({type(error).__name__})",
                remedy="start the platform with `millrace up`, or see what is wrong with `millrace doctor`",
            ) from error


def _present(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _json(answer: "httpx.Response") -> Any:
    if not answer.is_error:
        return answer.json() if answer.content else None
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        raise CannotReach(
            f"{answer.request.url} answers {answer.status_code}, and not as Millrace does",
            remedy="see what else uses the port with `millrace doctor`",
        )
    told = answer.json()
    code = str(told.get("type", "")).rpartition(":")[2]
    kind = _BY_CODE.get(code, errors.TransientError if answer.status_code >= 500 else errors.BadInput)
    raise kind(told.get("detail", code), field=told.get("field"), remedy=told.get("remedy"))


def connect() -> Api:
    """The API that this process's environment names; closed by `with`.

    Raises:
        BadInput: a setting that does not hold what it must.
    """
    from millrace.settings import load

    return Api(load())
