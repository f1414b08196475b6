"""Picture a page of the running stack, for the README: log in as a person would, in a real browser.

scripts/setup --browser, then scripts/develop in another terminal, then
.venv/bin/python -m development.screenshot /iot-data-bridge/0 docs/images/dashboard.png --size 1680x1000
"""

import argparse
import json
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from development.program import ProgramMissingError
from development.stack import CHECKOUT

# The browser's own services look for servers on the internet at every start; nothing here needs them.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)


def find_browser() -> str:
    """Return the path of Chromium.

    Raises:
        ProgramMissingError: there is none.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise ProgramMissingError("chromium is not installed. Run scripts/setup --browser, which installs it or says how.")


def main() -> None:
    """Log in, open the page and write its picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", help="path and query of the page, such as /lovelace/0")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8123")
    parser.add_argument("--size", default="1280x900", help="of the window (default %(default)s)")
    parser.add_argument("--wait-for", default="", help="a text that the page must show first")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    password = json.loads((CHECKOUT / ".dev" / "passwords.json").read_text())["developer"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=QUIET)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(arguments.url)
        page.locator("input[name=username]").fill("developer")
        page.locator("input[name=password]").fill(password)
        page.keyboard.press("Enter")
        page.locator("home-assistant-main").wait_for()
        page.goto(arguments.url + arguments.page)
        if arguments.wait_for:
            page.get_by_text(arguments.wait_for).first.wait_for()
        page.wait_for_load_state("networkidle")
        arguments.picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=arguments.picture)
        browser.close()


if __name__ == "__main__":
    main()
