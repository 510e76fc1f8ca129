"""The report in a headless Chromium: what is seen, and what wheel, fingers and keys do to it."""

import importlib.util
import math
import os
import re
import shutil

import numpy as np
import pytest

pytest.importorskip("jinja2")

from contrasts import CONTRASTS

from camm import PacketType, Samples
from camm.frames import from_angle_axis, to_matrix
from muxer import reader
from muxer.recording import Recording
from muxer.recording_file import MovieDescription
from muxer.report import render

MS = 1_000_000
HOSTILE = (
    "</script><img src=x onerror=alert(1)> \"'> \N{RIGHT-TO-LEFT OVERRIDE}evil " + "x" * 10_000
)
SECTIONS = ("film", "track", "plots", "rates", "sync", "noise", "sources", "tracks")


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium")
    there = path is not None and importlib.util.find_spec("playwright") is not None
    if not there:
        reason = "no chromium or no playwright: .ci/run says where they come from"
        if os.environ.get("CAMMCORDER_REQUIRE_READERS"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, walk):
    """The demo clip and the report on it, side by side."""
    made = tmp_path_factory.mktemp("report")
    shutil.copy(walk.clip, made / "walk.mp4")
    with reader.open(made / "walk.mp4") as clip:
        (made / "walk.html").write_text(render(clip, made / "walk.html"), "utf-8")
    return made


@pytest.fixture
def look(browser):
    """Open a page; whatever it complains of or asks of a network fails the test."""
    complaints, requests, contexts = [], [], []

    def start(path, width=1100, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.locator("#range").filter(has_text=":").wait_for()  # drawn once
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []
    assert all(re.match(r"(file|blob):", url) for url in requests), requests


@pytest.fixture
def page(folder, look):
    opened = look(folder / "walk.html")
    opened.locator(".screen.playing").wait_for()
    return opened


@pytest.fixture(scope="module")
def clip(folder):
    with reader.open(folder / "walk.mp4") as opened:
        yield opened


def expect(thing):
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)
    return expect(thing)


def plot(page, title):
    """The part of the plot that takes wheel and keys."""
    return page.get_by_role("slider", name=f"{title} over time")


def figures(page, title):
    """What a plot tells of the moment, line by line."""
    cells = plot(page, title).locator("xpath=..").locator("td[data-line]").all_text_contents()
    return [float(cell.replace("\N{MINUS SIGN}", "-").replace(",", "")) for cell in cells]


def shown(page):
    """From when to when the plots show."""
    text = page.locator("#range").text_content().replace("\N{MINUS SIGN}", "-")
    return [float(number) for number in re.findall(r"(-?[\d.]+) s", text)]


def centre(element):
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def settle(page):
    """Until what was asked for is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def wheel(page, element, dx, dy):
    page.mouse.move(*centre(element))
    page.wait_for_timeout(400)  # what came over the plot by scrolling would only scroll on
    page.mouse.wheel(dx, dy)
    settle(page)


def until(page, condition):
    """Wait until it is true in the page, whose policy forbids the `eval` of Playwright's waits."""
    page.evaluate(
        f"""() => new Promise((done) => {{
          const look = () => (({condition}) ? done() : setTimeout(look, 20));
          look();
        }})"""
    )


def seek(page, t_s):
    """As the film's own controls do."""
    page.evaluate("t => { document.querySelector('video').currentTime = t }", t_s)
    until(page, f"Math.abs(parseFloat(document.getElementById('now').textContent) - {t_s}) < 0.04")
    settle(page)


# Plots


def test_the_wheel_zooms_all_plots_around_the_pointer(page):
    before = page.locator("#range").text_content()
    assert before.startswith("All of it")
    wheel(page, plot(page, "Angular rate"), 0, -600)
    first, last = shown(page)
    assert 3 < last - first < 6
    assert first < 5 < last
    for line in page.locator(".over-time svg[aria-hidden]").all():
        texts = line.locator("text").all_text_contents()
        times = [float(text[:-2]) for text in texts if text.endswith(" s")]
        assert times, texts
        assert first - 1e-3 <= min(times) <= max(times) <= last + 1e-3
    wheel(page, plot(page, "Acceleration"), 0, 3000)
    assert page.locator("#range").text_content() == before


def test_the_whole_page_scrolls_on_where_there_is_nothing_to_zoom_out(page):
    gyro = plot(page, "Angular rate")
    page.mouse.move(*centre(gyro))
    page.wait_for_timeout(400)
    at = page.evaluate("scrollY")
    page.mouse.wheel(0, 400)
    until(page, f"scrollY > {at}")
    assert page.locator("#range").text_content().startswith("All of it")


@pytest.mark.parametrize(
    ("title", "column", "digits"),
    [("Angular rate", "gyro", 4), ("Acceleration", "acceleration", 3)],
)
def test_the_figures_under_the_pointer_are_those_of_the_clip(page, clip, title, column, digits):
    element = plot(page, title)
    wheel(page, element, 0, -1800)
    x, y = centre(element)
    page.mouse.move(x + 57, y)
    settle(page)
    t_s = float(re.match(r"([\d.]+) s", element.get_attribute("aria-valuetext"))[1])
    samples = getattr(clip, column)
    nearest = np.abs(samples.t_ns - t_s * 1e9).argmin()
    found = figures(page, title)
    told = [np.round(samples.data[at], digits) for at in (nearest - 1, nearest, nearest + 1)]
    assert any(np.allclose(found, row, atol=0.6 * 10**-digits) for row in told)


def test_a_drag_chooses_a_stretch_and_a_double_click_brings_all_back(page):
    element = plot(page, "Acceleration")
    x, y = centre(element)
    inside = float(element.locator("svg svg").get_attribute("width"))
    page.mouse.move(x - 100, y)
    page.mouse.down()
    page.mouse.move(x, y, steps=3)
    expect(page.locator(".chosen")).to_have_count(1)
    page.mouse.move(x + 100, y, steps=3)
    page.mouse.up()
    settle(page)
    first, last = shown(page)
    assert 1 < last - first < 3
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(x, y, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    settle(page)
    # A hundred pixels of what is shown across the plot.
    assert shown(page)[0] - first == pytest.approx(100 / inside * (last - first), abs=0.02)
    assert shown(page)[1] - shown(page)[0] == pytest.approx(last - first, abs=0.01)
    page.mouse.dblclick(x, y)
    expect(page.locator("#range")).to_contain_text("All of it")


def test_two_fingers_zoom_and_one_moves_along(folder, look):
    page = look(folder / "walk.html", width=400, has_touch=True, is_mobile=True)
    element = plot(page, "Angular rate")
    x, y = centre(element)
    session = page.context.new_cdp_session(page)

    def touch(kind, *xs):
        points = [{"x": at, "y": y, "id": number} for number, at in enumerate(xs)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", x - 20)
    touch("touchStart", x - 20, x + 20)
    for apart in range(30, 90, 10):
        touch("touchMove", x - apart, x + apart)
    touch("touchEnd")
    settle(page)
    first, last = shown(page)
    assert 1.5 < last - first < 4
    touch("touchStart", x)
    for far in range(10, 60, 10):
        touch("touchMove", x - far)
    touch("touchEnd")
    settle(page)
    assert shown(page)[0] > first + 0.2
    assert shown(page)[1] - shown(page)[0] == pytest.approx(last - first, abs=0.02)


def test_it_can_be_used_by_keys_alone(page):
    element = plot(page, "Angular rate")
    element.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    settle(page)
    first, last = shown(page)
    assert last - first == pytest.approx(2.5, abs=0.1)
    page.keyboard.press("PageDown")
    settle(page)
    assert shown(page)[0] > first + 2
    page.keyboard.press("0")
    settle(page)
    assert page.locator("#range").text_content().startswith("All of it")
    before = float(element.get_attribute("aria-valuenow"))
    page.keyboard.press("Shift+ArrowRight")
    expect(element).not_to_have_attribute("aria-valuenow", f"{before:.3f}")
    assert re.match(r"[\d.]+ s: X .+, Y .+, Z .+ rad/s", element.get_attribute("aria-valuetext"))


def test_a_long_clip_says_how_coarse_it_is(tmp_path, look):
    t_ns = np.arange(60_000) * 5 * MS
    data = np.random.default_rng(2).normal(size=(60_000, 3))
    data[40_000, 1] = 77
    about = MovieDescription(None, "", "", {})
    recording = Recording(tmp_path / "long.mp4", [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", [Samples(PacketType.GYRO, t_ns, data)], None)
    recording.finish(300_000 * MS, about)
    with reader.open(tmp_path / "long.mp4") as clip:
        (tmp_path / "long.html").write_text(render(clip), "utf-8")
    page = look(tmp_path / "long.html")
    expect(page.locator(".over-time .coarse").first).to_have_text(
        "Of every 0.019 s (up to 4 samples) the lowest and highest."
    )
    lowest_mean_highest = page.locator(".over-time").first.locator("tr").nth(2)
    expect(lowest_mean_highest).to_contain_text("77.0000")
    assert page.locator("#range").text_content() == "All of it: 5:00.0"


# The picture


def test_a_click_in_a_plot_seeks_the_film(page):
    element = plot(page, "Angular rate")
    x, y = centre(element)
    page.mouse.click(x, y)
    until(page, "Math.abs(document.querySelector('video').currentTime - 5) < 0.5")
    expect(page.locator("#now")).not_to_have_text("0.000 s")


@pytest.mark.parametrize("t_s", [0.5, 3.0, 7.7])
def test_horizon_and_compass_follow_the_film(page, clip, t_s):
    seek(page, t_s)
    now = float(page.locator("#now").text_content().split()[0])
    assert now == pytest.approx(t_s, abs=0.04)
    at = np.abs(clip.angle_axis.t_ns - now * 1e9).argmin()
    down, right = to_matrix(from_angle_axis(clip.angle_axis.data[at]))[1, [1, 0]]
    roll = math.degrees(math.atan2(right, down))
    drawn = page.locator("#hud .skyline").evaluate(
        """line => {
          const { a, b } = line.getScreenCTM();
          return Math.atan2(b, a) * 180 / Math.PI;
        }"""
    )
    assert drawn == pytest.approx(-roll, abs=1)
    forward = to_matrix(from_angle_axis(clip.angle_axis.data[at]))[:, 2]
    heading = math.degrees(math.atan2(forward[0], forward[2])) % 360
    told = float(page.locator("#hud .digits").text_content().rstrip("°"))
    assert abs((told - heading + 180) % 360 - 180) <= 1
    assert all(
        float(box.get_attribute("aria-valuenow")) == now for box in page.get_by_role("slider").all()
    )


def test_the_film_plays_on_by_the_space_bar(page):
    plot(page, "Angular rate").focus()
    page.keyboard.press("Space")
    until(page, "document.querySelector('video').currentTime > 0.2")
    page.keyboard.press("Space")
    until(page, "document.querySelector('video').paused")
    expect(page.locator("#now")).not_to_have_text("0.000 s")


def test_a_film_that_is_elsewhere_is_asked_for(folder, tmp_path, look):
    with reader.open(folder / "walk.mp4") as clip:
        (tmp_path / "alone.html").write_text(render(clip), "utf-8")
    page = look(tmp_path / "alone.html")
    expect(page.locator("#pick")).to_be_visible()
    page.locator("#pick input").set_input_files(folder / "walk.mp4")
    page.locator(".screen.playing").wait_for()
    expect(page.locator("#pick")).to_be_hidden()
    seek(page, 2.0)


def test_a_moment_that_is_named_is_gone_to(folder, look):
    html = (folder / "walk.html").read_text("utf-8")
    marked = html.replace("</header>", '<button class="at" data-t="4.5">4.5 s</button></header>', 1)
    (folder / "marked.html").write_text(marked, "utf-8")
    page = look(folder / "marked.html")
    page.locator(".screen.playing").wait_for()
    page.get_by_role("button", name="4.5 s").click()
    until(page, "Math.abs(document.querySelector('video').currentTime - 4.5) < 0.01")


# For everybody


OF_ALL = f"""() => {{
  {CONTRASTS}
  const found = [];
  for (const [text, element, style] of words("noscript, script, #hud")) {{
    found.push([text, contrast(element.closest("svg") ? style.fill : style.color, element)]);
  }}
  for (const line of document.querySelectorAll(".line, .band, #plan .path, .block")) {{
    const ink = getComputedStyle(line)[line.matches(".block") ? "fill" : "stroke"];
    found.push([line.getAttribute("class"), 1.5 * contrast(ink, line)]);
  }}
  return found;
}}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_and_lines_stand_out(folder, look, scheme):
    """WCAG 1.4.3: 4.5 to 1 for words; 1.4.11: 3 to 1 for lines, which are counted 1.5 times."""
    html = (folder / "walk.html").read_text("utf-8")
    faults = '<p class="error">bad</p><p class="warning">poor</p><p><small>little</small></p>'
    (folder / "all.html").write_text(html.replace("</header>", f"{faults}</header>", 1), "utf-8")
    page = look(folder / "all.html", color_scheme=scheme)
    told = page.evaluate(OF_ALL)
    assert {"bad", "poor", "little", "walk.mp4", "Over time", "line blue"} <= {t[0] for t in told}
    for words, ratio in told:
        assert ratio >= 4.5, (words, ratio)


@pytest.mark.parametrize(
    "width",
    [
        320,
        1600,
        pytest.param(360, marks=pytest.mark.proof),
        pytest.param(768, marks=pytest.mark.proof),
    ],
)
def test_it_fits_every_screen(folder, look, width):
    page = look(folder / "walk.html", width=width, height=740)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in page.locator("figure svg, figure table").all():
        bounds = box.bounding_box()
        assert bounds["x"] + bounds["width"] <= width


def test_on_paper_are_all_sections_and_no_film(folder, look):
    page = look(folder / "walk.html", color_scheme="dark")
    pdf = page.pdf(format="A4", outline=True, tagged=True)
    assert pdf.startswith(b"%PDF")
    for title in ("Track", "Over time", "Rates and gaps", "Noise at rest", "Tracks of the file"):
        assert f"/Title ({title})".encode() in pdf
    page.emulate_media(media="print")
    for name in SECTIONS:
        assert page.locator(f"#{name}").is_visible() == (name != "film")
    assert page.locator(".over-time").count() == page.locator(".over-time .plot:visible").count()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_every_control_and_picture_has_a_name(page):
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    kinds = {"button", "link", "slider", "image", "region"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in kinds
    ]
    assert all(name for _, name in named), named
    names = {name for _, name in named}
    assert {"Zoom in", "Zoom out", "Whole", "Heading over time", "Track"} <= names


def test_a_hostile_clip_only_says_what_it_says(tmp_path, look):
    t_ns = np.arange(100) * 5 * MS
    metadata = {
        "sources": {HOSTILE: {"chip": HOSTILE, "error": HOSTILE}},
        "late": {HOSTILE: 1},
        "fusion": {"filter": HOSTILE, "heading": HOSTILE},
        "writer": {"name": HOSTILE, "version": HOSTILE},
        "movie": {"utc_from": HOSTILE},
    }
    about = MovieDescription(None, HOSTILE, HOSTILE, metadata)
    path = tmp_path / "<img src=x onerror=alert(1)>.mp4"
    recording = Recording(path, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", [Samples(PacketType.GYRO, t_ns, np.ones((100, 3)))], None)
    recording.finish(500 * MS, about)
    with reader.open(path) as clip:
        (tmp_path / "hostile.html").write_text(render(clip), "utf-8")
    page = look(tmp_path / "hostile.html", width=360)
    assert page.locator("img").count() == 0
    assert page.locator("h1").text_content() == path.name
    assert HOSTILE in page.locator(".facts").text_content()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_scripts_the_tables_are_there(browser, folder):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "walk.html").as_uri())
    assert "scripts are switched off" in page.locator("noscript").inner_text()
    assert page.locator("#rates tbody tr").count() == 7
    context.close()


def test_it_begins_with_one_request_for_the_film(folder, browser):
    requests = []
    context = browser.new_context()
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.goto((folder / "walk.html").as_uri())
    page.locator(".screen.playing").wait_for()
    context.close()
    assert set(requests) == {(folder / name).as_uri() for name in ("walk.html", "walk.mp4")}
