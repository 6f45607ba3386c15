import http.server
import threading
import time

import pytest

from millrace.cli.client import Api
from millrace.settings import Settings


class _Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(2.5)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        return


@pytest.fixture
def api(home):
    with Api(Settings()) as one:
        yield one


def test_an_api_that_answers_late_is_there(api):
    server = http.server.HTTPServer(("127.0.0.1", Settings().api_port), _Slow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert api.alive()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_where_nothing_listens_there_is_none(api):
    began = time.monotonic()
    assert not api.alive()
    assert time.monotonic() - began < 2
