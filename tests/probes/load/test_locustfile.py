"""A user's own locustfile is looked at before anything is deployed, and what is wrong is said by file and line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from probes.load import LoadError, check_locustfile

GOOD = """\
from locust import FastHttpUser, HttpUser, constant, task

class Reader(FastHttpUser):
    wait_time = constant(0.02)

    @task
    def read(self):
        self.client.get("/")

class Browser(HttpUser):
    wait_time = constant(0.02)

    @task
    def read(self):
        self.client.get("/")
"""


def test_a_good_file_passes_and_locust_stays_out_of_this_process(tmp_path: Path) -> None:
    file = tmp_path / "locust.py"  # the name of Locust itself is allowed
    file.write_text(GOOD)
    check_locustfile(file)
    assert "locust" not in sys.modules
    assert "gevent" not in sys.modules


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "import locust\n\nimport nothing_like_this\n",
            r":3: ModuleNotFoundError: No module named 'nothing_like_this'",
        ),
        ("def f():\n    raise ValueError('first.\\nlast one')\n\nf()\n", r":2: ValueError: last one"),
        ("class A(:\n", r":1: SyntaxError: "),
        ("print('hello')\n", r": defines no Locust user; "),
        ("from locust import HttpUser\nclass A(HttpUser):\n    pass\n", r": the user A has no @task"),
        ("import sys\nsys.exit('no licence')\n", r":2: SystemExit: no licence"),
        ("import os\nos._exit(7)\n", r": its import ended Python \(exit code 7\)"),
        (
            GOOD
            + "from locust import LoadTestShape\nclass S(LoadTestShape):\n    def tick(self):\n        return None\n",
            r": defines the LoadTestShape S: ",
        ),
    ],
)
def test_what_is_wrong_is_said_by_file_and_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(LoadError, match="^" + re.escape(str(file)) + sentence):
        check_locustfile(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no such locustfile"):
        check_locustfile(tmp_path / "absent.py")


def test_an_import_that_hangs_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "slow.py"
    file.write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(LoadError, match="did not finish within 3 s"):
        check_locustfile(file, deadline_s=3)
