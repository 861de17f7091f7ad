"""Opens reports in a real browser and uses them as a person does.

    python tests/report_check.py target/release/rl [DIRECTORY FOR SCREENSHOTS]

Runs a short comparison in which one run is spoilt and one killed, a report with a monitor file of Stable-Baselines3 beside ours, and a page of a thousand seeds, and checks in
headless Chromium: curves are there, toggles and zoom work, hovering shows values, nothing is said on the console, no request leaves the file, nothing is wider
than the screen, on a desktop and on a phone, light and dark; a thousand seeds open within two seconds and stay under 5 MB. Needs `pip install playwright` and
a Chromium: Playwright's own, or one that CHROMIUM or the PATH names. Exits non-zero on any failure, with 77 where there is no Chromium.
"""

import csv
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
MAX_SECONDS, MAX_BYTES = 2.0, 5_000_000
NO_BROWSER = 77


def rl(program, *args, cwd, code=0):
    done = subprocess.run([program, *args], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == code, f"rl {' '.join(args)} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def browser_of(playwright):
    """Playwright's own Chromium, else one that is installed."""
    named = os.environ.get("CHROMIUM")
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    for path in [named] if named else [None, *filter(None, found)]:
        try:
            return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            failure = error
    print(f"no Chromium starts: {str(failure).splitlines()[0]}")
    sys.exit(NO_BROWSER)


class Page:
    """A report that is open, with everything it said and asked for."""

    def __init__(self, browser, path, screen, scheme):
        width, height = SCREENS[screen]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=screen == "phone"
        )
        self.page, self.said, self.asked = self.context.new_page(), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        start = time.monotonic()
        self.page.goto(path.as_uri(), wait_until="load")
        self.seconds = time.monotonic() - start
        self.name, self.uri = f"{path.name} on a {screen}, {scheme}", path.as_uri()

    def shown(self, selector):
        """How many such elements are drawn."""
        return self.page.locator(selector).evaluate_all(
            "all => all.filter(e => getComputedStyle(e).display !== 'none' && e.closest('figure, nav, main').offsetParent !== null).length"
        )

    def close(self):
        outside = [url for url in self.asked if url != self.uri and not url.startswith("data:")]
        assert not outside, f"{self.name}: asked for {outside}"
        assert not self.said, f"{self.name}: said {self.said}"
        self.context.close()


def check_look(browser, path, screenshots):
    """Every screen in both schemes: nothing too wide, the scheme is the system's, and it can be changed."""
    for screen in SCREENS:
        for scheme in ("light", "dark"):
            it = Page(browser, path, screen, scheme)
            page = it.page
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= SCREENS[screen][0], f"{it.name}: {width} pixels wide"
            sum_of = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
            assert (page.evaluate(sum_of) > 384) == (scheme == "light"), f"{it.name}: another scheme"
            if screenshots:
                page.screenshot(path=str(screenshots / f"{path.stem}-{screen}-{scheme}.png"), full_page=True)
            page.click("#theme")
            assert (page.evaluate(sum_of) > 384) == (scheme == "dark"), f"{it.name}: the button changes nothing"
            it.close()


def area_in_view(figure):
    """Where the pointer reaches a chart: buttons that were clicked before may have scrolled the page away from it."""
    figure.scroll_into_view_if_needed()
    return figure.locator(".area").bounding_box()


def means_at(table, env, place):
    """The mean over seeds at a step, by algorithm, from compare-evaluations.csv: on the line between the evaluations around it."""
    with open(table, newline="") as rows:
        of_env = [row for row in csv.DictReader(rows) if row["env"] == env]
    means = {}
    for algo in {row["algo"] for row in of_env}:
        values = {}
        for row in of_env:
            if row["algo"] == algo:
                values.setdefault(int(row["step"]), []).append(float(row["mean_return"]))
        before, after = max(step for step in values if step <= place), min(step for step in values if step >= place)
        left, right = (sum(values[step]) / len(values[step]) for step in (before, after))
        means[algo] = left + (right - left) * (place - before) / max(after - before, 1)
    return means


def check_use(browser, path):
    """Curves, toggles, hover, zoom."""
    it = Page(browser, path, "desktop", "light")
    page = it.page
    first = "figure.chart[id$=evaluation-steps]"
    for kind in ("line", "band", "thread"):
        assert it.shown(f"{first} path.{kind}"), f"{it.name}: no {kind} in the learning curves"
    empty = page.locator("path").evaluate_all("all => all.filter(e => !/^M-?\\d/.test(e.getAttribute('d')) && e.getAttribute('d')).length")
    assert empty == 0, f"{it.name}: {empty} paths are no paths"
    for name in ("trust-kl-mean", "trust-surrogate", "final-scores", "final-profile", "final-improvement", "seconds"):
        assert page.locator(f"figure.chart[id$={name}]").count(), f"{it.name}: no chart {name}"

    # Toggles.
    threads, lines = it.shown(f"{first} path.thread"), it.shown(f"{first} path.line")
    page.click("nav button[data-off=no-seeds]")
    assert it.shown(f"{first} path.thread") == 0, f"{it.name}: seeds are still there"
    page.click("nav button[data-off=no-seeds]")
    page.click("nav button[data-off=off-k0]")
    assert 0 < it.shown(f"{first} path.thread") < threads and 0 < it.shown(f"{first} path.line") < lines
    page.click("nav button[data-off=off-k0]")
    assert it.shown(f"{first} path.thread") == threads
    assert it.shown(f"{first} path.iqm") and not it.shown(f"{first} path.mean")
    page.click("nav button[data-on=stat-mean]")
    assert it.shown(f"{first} path.mean") and not it.shown(f"{first} path.iqm")
    page.click("nav button[data-on=stat-iqm]")
    page.click("nav button[data-on=src-training]")
    assert not page.locator(first).first.is_visible() and page.locator("figure.chart[id$=training-steps]").first.is_visible()
    page.click("nav button[data-on=src-evaluation]")

    # Hover: the value under the pointer is that of the curve, and the curve that of the table.
    figure = page.locator(first).first
    page.click("nav button[data-on=stat-mean]")
    page.click("nav button[data-off=no-seeds]")
    box = area_in_view(figure)
    page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_selector("#tip:not([hidden])")
    tip = page.locator("#tip").inner_text()
    assert "environment steps" in tip and "[" in tip, f"{it.name}: hovering says {tip!r}"
    said = {name: float(number.replace("−", "-")) for name, number in re.findall(r"^(\w+)\s+(−?[\d.]+) \[", tip, re.MULTILINE)}
    place = float(re.search(r"environment steps\s+([\d.]+)", tip).group(1))
    means = means_at(path.parent / "compare-evaluations.csv", figure.get_attribute("id").removesuffix("-evaluation-steps"), place)
    low, high = (float(end) for end in figure.get_attribute("data-y").split()[:2])
    near = lambda name: abs(said[name] - means[name]) < 0.01 * (high - low)
    assert said.keys() == means.keys() and all(map(near, means)), f"{it.name}: hovering says {said}, the table {means}"
    page.click("nav button[data-off=no-seeds]")
    page.click("nav button[data-on=stat-iqm]")

    # Zoom: fewer steps on the axis, and back.
    ticks = lambda: figure.locator(".xt span").all_inner_texts()
    before, box = ticks(), area_in_view(figure)
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 90, steps=5)
    page.mouse.up()
    assert ticks() != before, f"{it.name}: drawing a rectangle zooms nothing"
    assert figure.locator("svg").get_attribute("viewBox") != "0 0 10000 10000"
    figure.locator("button.reset").click()
    assert ticks() == before and figure.locator("button.reset").count() == 0, f"{it.name}: {ticks()} after a zoom, {before} before"
    figure.locator(".area").focus()
    page.keyboard.press("+")
    assert ticks() != before, f"{it.name}: the keyboard zooms nothing"
    page.keyboard.press("0")
    assert ticks() == before
    it.close()


def thousand(program, place):
    """A table of a thousand seeds of each of two algorithms, as --lean leaves it, made from one run of each."""
    short = ["--total-steps", "2048", "--seeds", "1", "--quiet", "--out", "lean", "--lean", "--preset", "sb3"]
    rl(program, "compare", "trpo", "ppo", *short, cwd=place)
    records = [json.loads(line) for line in (place / "lean/lean.jsonl").read_text().splitlines() if line]
    dice, table = random.Random(0), []
    for record in records:
        for seed in range(1000):
            level = dice.gauss(300, 60)
            curve = [
                {"step": 1000 * i, "seconds": i * dice.uniform(0.9, 1.1), "mean": level * (1 - math.exp(-i / 20)) + dice.gauss(0, 9), "mean_length": 9.0}
                for i in range(1, 101)
            ]
            summary = record["summary"] | {"seed": seed, "eval": record["summary"]["eval"] | {"mean": level}}
            table.append(json.dumps({"config": record["config"] | {"seed": seed}, "summary": summary, "curve": curve}))
    (place / "many").mkdir()
    (place / "many/lean.jsonl").write_text("\n".join(table) + "\n")
    rl(program, "report", "many", "--out", "many.html", cwd=place)
    return place / "many.html"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    program = str(Path(sys.argv[1]).resolve())
    screenshots = Path(sys.argv[2]).resolve() if len(sys.argv) == 3 else None
    if screenshots:
        screenshots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as place:
        browser, place = browser_of(playwright), Path(place)
        grid = ["--env", "CartPole-v1", "--env", "Pendulum-v1", "--total-steps", "8192", "--seeds", "5", "--quiet", "--out", "runs"]
        rl(program, "compare", "trpo", "ppo", *grid, cwd=place)
        check_use(browser, place / "runs/report.html")
        check_look(browser, place / "runs/report.html", screenshots)
        print("a comparison's report: curves, toggles, hover and zoom, on every screen")

        # The same runs, one of which says that it failed, and somebody else's beside.
        spoilt = place / "runs/CartPole-v1/ppo/s3/summary.json"
        summary = json.loads(spoilt.read_text()) | {"status": "failed", "error": "the <pole> broke & fell", "eval": None}
        spoilt.write_text(json.dumps(summary))
        # One is killed: it leaves no summary, and half of its table.
        killed = place / "runs/CartPole-v1/trpo/s2"
        (killed / "summary.json").unlink()
        rows = (killed / "progress.csv").read_text().splitlines(keepends=True)
        (killed / "progress.csv").write_text("".join(rows[: len(rows) // 2]) + rows[len(rows) // 2][:20])
        theirs = place / "theirs/dqn/s0"
        theirs.mkdir(parents=True)
        rows = "".join(f"{20 + i}.0,{20 + i},{i / 10}\n" for i in range(120))
        (theirs / "monitor.csv").write_text('#{"t_start": 1.0, "env_id": "CartPole-v1"}\nr,l,t\n' + rows)
        rl(program, "report", "runs", "theirs", "--out", "both.html", cwd=place)
        it = Page(browser, place / "both.html", "desktop", "light")
        failed = it.page.locator("#failed").inner_text()
        assert "ppo on CartPole-v1, seed 3" in failed and "the <pole> broke & fell" in failed, failed
        assert "trpo on CartPole-v1, seed 2: interrupted. it left no summary.json" in failed, failed
        cut = it.page.locator('figure[id=CartPole-v1-evaluation-steps] path.thread[data-n="trpo, seed 2"]')
        assert cut.count() == 1, "the run that was killed is not drawn"
        it.page.click("nav button[data-on=src-training]")
        assert it.shown("figure[id=CartPole-v1-training-steps] path.thread.k2") == 1, "Stable-Baselines3's run is not drawn"
        it.close()
        check_look(browser, place / "both.html", screenshots)
        print("failed runs are named, Stable-Baselines3's are drawn")

        many = thousand(program, place)
        bytes_, it = many.stat().st_size, Page(browser, many, "desktop", "light")
        assert bytes_ < MAX_BYTES, f"the report of 1,000 seeds has {bytes_} bytes"
        assert it.seconds < MAX_SECONDS, f"the report of 1,000 seeds opens in {it.seconds:.2f} s"
        assert it.shown("path.band.seeds"), "no quantiles of 1,000 seeds"
        print(f"2,000 runs: {bytes_ / 1e6:.2f} MB, opened in {it.seconds:.2f} s")
        it.close()
        check_look(browser, many, screenshots)
        browser.close()


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        sys.exit(f"FAILED: {failure}")
