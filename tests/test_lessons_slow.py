"""`make test-all`: each lesson offline, with one thread and two, rendered twice, twice in one kernel, in a browser."""

import copy
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from course_lib.cli import render

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
MINUTES = {1: 2, 2: 0.75, 3: 0.75, 4: 0.75, 5: 2.5, 6: 2.5, 7: 2.5, 8: 1, 9: 1}
EACH = pytest.mark.parametrize("path", LESSONS, ids=[path.stem for path in LESSONS])
OFFLINE = '''
"""Refuse every connection that leaves this machine (imported by Python at start)."""
import socket

def refusing(name):
    ordinary = getattr(socket.socket, name)
    def call(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost", ""):
            raise OSError(f"offline: connection to {address[0]} refused")
        return ordinary(self, address)
    return call

def no_names(host, *rest, **more):
    if host not in (None, "", "localhost", "127.0.0.1", "::1"):
        raise OSError(f"offline: {host} cannot be looked up")
    return look_up(host, *rest, **more)

look_up = socket.getaddrinfo
socket.getaddrinfo = no_names
socket.socket.connect, socket.socket.connect_ex = refusing("connect"), refusing("connect_ex")
'''

pytestmark = pytest.mark.slow


def text(notebook: nbformat.NotebookNode) -> str:
    return nbformat.writes(notebook, version=4)


def show(differences: list[str]) -> None:
    assert not differences, "\n" + "\n".join(differences)


@EACH
def test_offline_in_time_and_the_same_bytes_again(path, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(OFFLINE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    start = time.monotonic()
    first = render.execute(path)
    minutes = (time.monotonic() - start) / 60
    show(render.differences(render.clean(render.read(path)), first)[0])
    assert text(render.execute(path)) == text(first)
    stated = stated_minutes("".join(cell.source for cell in first.cells))
    print(f"{path.stem}: {minutes:.2f} minutes, stated {stated}")
    assert minutes <= min(stated + 0.25, MINUTES[int(path.stem[:2])]), f"took {minutes:.2f} minutes"


def stated_minutes(prose: str) -> float:
    """What a lesson says in "**Time:** half a minute to run"."""
    said = re.search(r"\*\*Time:\*\*(.*?)to run", prose)
    assert said, "the opening says no `**Time:** … to run`"
    words = {"half": 0.5, "¾": 0.75, "½": 0.5, "three quarters": 0.75, "a minute": 1, "one": 1, "two": 2, "three": 3}
    number = re.search(r"\d+(\.\d+)?[½¾]?", said[1])
    value = (
        sum(words.get(c, 0) for c in number.group()) + float(re.match(r"[\d.]+", number.group())[0]) if number else 0
    )
    return value or next(minutes for word, minutes in words.items() if word in said[1])


def test_stated_minutes():
    for said, minutes in (
        ("half a minute", 0.5),
        ("1½ minutes", 1.5),
        ("2 minutes", 2),
        ("about a minute", 1),
        ("¾", 0.75),
    ):
        assert stated_minutes(f"**Time:** {said} to run, 45 minutes to read") == minutes


def test_offline_is_offline(monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(OFFLINE)
    code = "import urllib.request; urllib.request.urlopen('http://example.org', timeout=5)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "http_proxy": "", "HTTP_PROXY": ""}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "offline: example.org" in result.stderr


@EACH
def test_one_thread_prints_the_same(path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    show(render.differences(render.clean(render.read(path)), render.execute(path))[0])


@EACH
def test_twice_in_one_kernel(path):
    stored = render.clean(render.read(path))
    twice = copy.deepcopy(stored)
    for cell in copy.deepcopy(stored.cells):
        cell.id += "-again"
        twice.cells.append(cell)
    ran = render.run(twice, path)
    again = copy.deepcopy(ran)
    again.cells = ran.cells[len(stored.cells) :]
    show(render.differences(stored, again)[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a copy of the lessons; yields its address."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        f"--port={port}",
        "--ip=127.0.0.1",
        "--allow-root",
    ]
    command += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(address + "/api", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(20)


NOTEBOOK = "window.jupyterapp?.shell.currentWidget"
READY = (
    f"() => {NOTEBOOK}?.content?.widgets?.length > 0 && {NOTEBOOK}.sessionContext?.session?.kernel?.status === 'idle'"
)
STATE = f"""() => {{
    const panel = {NOTEBOOK}, cells = panel.content.widgets.filter(c => c.model.type === 'code');
    return JSON.stringify({{
        busy: panel.sessionContext.session?.kernel?.status !== 'idle' || cells.some(c => c.model.executionState === 'running'),
        waiting: cells.filter(c => c.promptNode?.textContent.includes('*')).length,
        cells: cells.map(c => ({{count: c.model.executionCount, outputs: c.model.outputs.toJSON()}})),
    }});
}}"""


@EACH
def test_run_all_in_a_browser(path, lab):
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser extra is not installed")
    with sync_api.sync_playwright() as playwright:
        try:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no browser: {str(error)[:80]}")
        page = browser.new_page(viewport={"width": 1280, "height": 1200})
        page.goto(f"{lab}/lab/tree/notebooks/{path.name}", wait_until="domcontentloaded")
        page.wait_for_function(READY, timeout=120_000)
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        end = time.monotonic() + 60 * MINUTES[int(path.stem[:2])] + 60
        while time.monotonic() < end:
            time.sleep(3)
            state = json.loads(page.evaluate(STATE))
            if not state["busy"] and not state["waiting"]:
                break
        browser.close()
    kinds = [(o["output_type"], o.get("name")) for cell in state["cells"] for o in cell["outputs"]]
    assert not state["busy"] and not state["waiting"], "Run All did not end in time"
    assert [cell["count"] for cell in state["cells"]] == list(range(1, len(state["cells"]) + 1))
    assert not [kind for kind in kinds if kind[0] == "error"]
    assert kinds, "nothing was printed or drawn"
