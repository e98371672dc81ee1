"""Starts a local JupyterLab with its own folders, and opens notebooks in it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

TOKEN = "browser-tests"  # noqa: S105 - the server lives for one test session, on 127.0.0.1
START_SECONDS = 60
STOP_SECONDS = 15
RUN_MS = 120_000
SETTINGS = {
    # without this, cells outside the window are not in the page
    "notebook-extension/tracker": {"windowingMode": "none", "scrollPastLastCell": False},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
ERRORS = '[data-mime-type="application/vnd.jupyter.error"]'
STDERR = '[data-mime-type="application/vnd.jupyter.stderr"]'


@contextmanager
def running_lab(folder: Path) -> Iterator[str]:
    """Run JupyterLab on `folder/work`, yield its address, and stop it with its kernels."""
    (folder / "work").mkdir()
    port = free_port()
    with (folder / "jupyterlab.log").open("w") as log:
        process = subprocess.Popen(
            command(folder / "work", port),
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}", process, folder / "jupyterlab.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process)


def command(work: Path, port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={work}",
        f"--IdentityProvider.token={TOKEN}",
    ]


def environment(folder: Path) -> dict[str, str]:
    """Return an environment that neither reads nor writes the user's own Jupyter settings."""
    # builds its font cache now: in a kernel that would print a warning
    import matplotlib.font_manager  # noqa: PLC0415 - only these tests need it

    for name, values in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "RETAB"))}
    return inherited | {
        "HOME": str(folder / "home"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"JupyterLab did not start within {START_SECONDS} s:\n{log.read_text()}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop the server: at SIGTERM it stops its kernels, after SIGKILL they stop by themselves."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
            process.wait(STOP_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def run_all(page: Page, address: str, name: str) -> None:
    """Open a notebook and run all cells from the menu; return when all have run."""
    page.goto(f"{address}/lab/tree/{name}?token={TOKEN}&reset")
    choose = page.get_by_role("dialog").get_by_role("button", name="Select Kernel", exact=True)
    page.add_locator_handler(choose, lambda button: button.click())
    # before the kernel is idle, JupyterLab would ask which kernel to use
    page.locator(".jp-StatusBar-GroupItem, .jp-StatusBar-Item").get_by_text("| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    cells = code_cells(page).filter(has=page.locator(".cm-content", has_text=re.compile(r"\S")))
    cells.first.wait_for()
    ran = page.locator(".jp-CodeCell .jp-InputArea-prompt", has_text=re.compile(r"^\[\d+\]:$"))
    failed = page.locator(ERRORS)
    ran.nth(cells.count() - 1).or_(failed).first.wait_for(timeout=RUN_MS)


def code_cells(page: Page) -> Locator:
    return page.locator(".jp-NotebookPanel .jp-CodeCell")


def show_whole(page: Page) -> None:
    """Make the window as tall as the notebook, for a screenshot of all of it."""
    panel = page.locator(".jp-WindowedPanel-outer")
    height = panel.evaluate("panel => panel.scrollHeight")
    width = (page.viewport_size or {"width": 1200})["width"]
    page.set_viewport_size({"width": width, "height": min(int(height) + 100, 16_000)})
    panel.evaluate("panel => panel.scrollTo(0, 0)")
