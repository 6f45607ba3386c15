"""Leaving a group, on the session's broker."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.broker

CHILD = Path(__file__).with_name("leaving_child.py")


def test_a_group_can_be_left_while_it_hands_out_its_partitions(broker_settings, make_topic):
    told = [broker_settings.home, str(broker_settings.kafka_port), make_topic(), "20"]
    # 20 rounds take 15 s; a client that hangs never comes back
    run = subprocess.run([sys.executable, CHILD, *told], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (0, "20\n"), run.stderr
