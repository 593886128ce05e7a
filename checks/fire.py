"""Schemathesis with all checks, as each role, on both engines, against the demonstration's data: no finding, or failure.

FIRE_EXAMPLES   cases an operation in the fuzzing and stateful phases; 3 if not said
FIRE_SECONDS    so many seconds in all, each role: what is left after the other phases goes into fuzzing
FIRE_ROLES      which roles call
FIRE_SEED       another one finds other things
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlparse

import pg8000.native
import requests

HERE = Path(__file__).parent
BINARY = os.environ.get("THIDUA_BIN", str(HERE / "../target/debug/thidua"))
SERVER = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
EXAMPLES = os.environ.get("FIRE_EXAMPLES", "3")
SECONDS = os.environ.get("FIRE_SECONDS")
SEED = os.environ.get("FIRE_SEED", "1")
ROLES = os.environ.get("FIRE_ROLES", "administrator unit_reporter").split()


class Database:
    """A database of its own on the PostgreSQL server, gone afterwards."""

    def __init__(self):
        self.name = f"thidua_fire_{uuid.uuid4().hex}"
        self.url = f"{SERVER.rsplit('/', 1)[0]}/{self.name}"

    def on_the_server(self, sql):
        url = urlparse(SERVER)
        where = {"host": url.hostname, "port": url.port or 5432, "database": url.path.lstrip("/")}
        connection = pg8000.native.Connection(url.username, password=url.password, **where)
        connection.run(sql)
        connection.close()

    def __enter__(self):
        self.on_the_server(f"CREATE DATABASE {self.name}")
        return self

    def __exit__(self, *_):
        self.on_the_server(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


class Demo:
    """`thidua demo`, which has no rate limits, until the end of the run."""

    def __init__(self, directory, more):
        self.directory, self.more = Path(directory), more

    def __enter__(self):
        command = [BINARY, "demo", "--data-dir", self.directory, "--listen", "127.0.0.1:0", *self.more]
        quiet = {**os.environ, "RUST_LOG": "error"}
        self.process = subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        about = self.directory / "demo.json"
        for _ in range(600):
            if about.exists():
                return json.loads(about.read_text())
            time.sleep(0.1)
        raise RuntimeError("the demonstration did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def under_fire(engine, about, role, failed):
    token = about["tokens"][role]
    command = [HERE / ".venv/bin/st", "--no-color", "--config-file", HERE / "schemathesis.toml", "run"]
    command += [HERE / "../openapi/openapi.json", "--url", about["base_url"], "--header", f"Authorization: Bearer {token}"]
    command += ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--seed", SEED]
    # No request may take longer than the service allows itself.
    command += ["--max-response-time", "30"]
    command += ["--max-examples", EXAMPLES, "--continue-on-failure", "--warnings", "off", "--generation-database", "none"]
    command += ["--max-time", SECONDS] if SECONDS else []
    environment = {**os.environ, "FIRE_URL": about["base_url"], "FIRE_TOKEN": token, "PYTHONPATH": str(HERE)}
    log = HERE / f"build/fire-{engine}-{role}.log"
    with open(log, "wb") as output:
        code = subprocess.run(command, cwd=HERE, env=environment, stdout=output, stderr=output).returncode
    told = log.read_text()
    cases = re.search(r"^ *(\d+) generated.*", told, re.M)
    print(f"{engine}, {role}: {cases.group(0).strip() if cases else 'no figures'}; seed {SEED}", flush=True)
    # A caller that lost its rights meanwhile tested nothing more.
    me = requests.get(f"{about['base_url']}/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    if code != 0 or not cases or me.status_code != 200 or not me.json()["grants"]:
        failed.append(log)


def as_each_role(engine, failed):
    # Each on its own data: an administrator may end the grants of whoever comes next.
    for role in ROLES:
        with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
            more = ["--database-url", stack.enter_context(Database()).url] if engine == "postgres" else []
            under_fire(engine, stack.enter_context(Demo(f"{scratch}/data", more)), role, failed)


def main():
    (HERE / "build").mkdir(exist_ok=True)
    failed = []
    with ThreadPoolExecutor() as both:
        runs = [both.submit(as_each_role, engine, failed) for engine in ["sqlite", "postgres"]]
        for run in runs:
            run.result()
    for log in failed:
        print(f"\n== {log}\n{log.read_text()[-6000:]}")
    sys.exit(1 if failed else 0)


main()
