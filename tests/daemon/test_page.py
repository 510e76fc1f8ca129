"""The web page, in a headless Chromium: what is seen, heard and done."""

import asyncio
import base64
import contextlib
import importlib.util
import itertools
import math
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
from contrasts import CONTRASTS
from faulty_films import scenario

from camm import UsageError
from daemon.camcorder import Camcorder
from daemon.configuration import ControlSettings, StorageSettings
from daemon.control import Control
from daemon.rig import simulated_rig
from daemon.shelf import Shelf
from muxer import reader
from muxer.check import check

BOOT = "1f3a9c02"
TOKEN = "a-token-of-more-than-16"  # noqa: S105  (it opens nothing but the test's server)
PHONE = {"width": 390, "height": 844}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
OLD, KEPT = "2026-11-20T14-50-07Z.mp4", "2026-11-20T14-55-07Z.mp4"
MAKING = "2026-11-20T15-15-21Z.unfinished.mp4"


class Pretended:
    """A control whose camcorder is as the test says. `trouble` is why a command is refused."""

    def __init__(self, folder: Path):
        self.shelf = Shelf(folder, BOOT)
        self.state = "ready"
        self.warnings = []
        self.sources = {name: _source(name) for name in ("imu", "mag", "gps", "camera")}
        self.seconds = 761.0
        self.marks = []
        self.commands = []
        self.trouble = None
        self.hangs = False
        self.places = itertools.count()

    def status(self):
        recording = self.state == "recording"
        north = 37.7749 + 1e-5 * next(self.places)
        return {
            "state": self.state,
            "clip": _making(self.seconds) if recording else None,
            "last_clip": None,
            "sources": [dict(source) for source in self.sources.values()],
            "flowing": True,
            "growing": True,
            "free_bytes": 41_700_000_000,
            "seconds_left": 22_800.0 if recording else None,
            "missed": 0,
            "slowest_write_s": 0.034,
            "queued": 1,
            "warnings": list(self.warnings),
            "utc": "2026-11-20T15:28:03.412+00:00",
            "version": "test",
            "orientation": {"yaw_deg": 274.2, "pitch_deg": 3.4, "roll_deg": -1.6},
            "fix": {
                "latitude": north,
                "longitude": -122.4194,
                "altitude": 34.2,
                "speed_m_s": 7.1,
                "course_deg": 0.0,
                "accuracy_m": 2.4,
            },
        }

    async def subscribe(self):
        while True:
            if not self.hangs:
                yield "status", self.status()
            await asyncio.sleep(0.1)

    def start(self):
        self._refuse()
        self.commands.append("start")
        self.state = "recording"

    def stop(self):
        self._refuse()
        self.commands.append("stop")
        self.state = "ready"

    def mark(self, text):
        self._refuse()
        self.marks.append(text)
        return {"name": MAKING, "t_s": self.seconds, "utc": "2026-11-20T15:28:03Z", "text": text}

    def clips(self):
        return [_document(clip) for clip in reversed(self.shelf.clips())]

    def clip(self, name):
        return self.shelf.find(name)

    def protect(self, name, *, protected):
        return _document(self.shelf.protect(name, protected=protected))

    def delete(self, name):
        return _document(self.shelf.delete(name))

    def picture(self):
        return None

    def _refuse(self):
        if self.trouble is not None:
            raise UsageError(self.trouble)


def _source(name):
    return {
        "name": name,
        "required": name != "gps",
        "delivering": True,
        "rate_hz": 224.8,
        "delivered": 5000,
        "lost": 0,
        "failures": 0,
        "error": "",
    }


def _making(seconds):
    size = int(seconds * 1.63e6)
    return {
        "name": MAKING,
        "seconds": seconds,
        "bytes": size,
        "frames": 9,
        "records": 99,
        "late": 0,
    }


def _document(clip):
    return {
        "name": clip.name,
        "bytes": clip.size,
        "written": "2026-11-20T15:00:00.000+00:00",
        "protected": clip.protected,
        "unfinished": clip.unfinished,
        "seconds": 300.0,
    }


class Served:
    """A control over HTTP, by an event loop in a thread of its own."""

    def __init__(self, control, port=0, token_file=None):
        from daemon.http.server import HttpServer

        settings = ControlSettings(http=f"127.0.0.1:{port}", token_file=token_file)
        self._server = HttpServer(control, settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._wait_for(self._server.start())
        self.port = self._server.address[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def _wait_for(self, what):
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def close(self):
        if self._loop.is_closed():
            return
        self._wait_for(self._server.stop())
        self._wait_for(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


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


@pytest.fixture
def control(tmp_path):
    pretended = Pretended(tmp_path / "clips")
    for number, name in enumerate((OLD, KEPT)):
        path = tmp_path / "clips" / name
        path.write_bytes(bytes(1_000_000))
        os.utime(path, (1e9 + number, 1e9 + number))
    pretended.protect(KEPT, protected=True)
    return pretended


@pytest.fixture
def serve():
    with contextlib.ExitStack() as closing:

        def start(control, **options):
            served = Served(control, **options)
            closing.callback(served.close)
            return served

        yield start


@pytest.fixture
def served(control, serve):
    return serve(control)


@pytest.fixture
def look(browser):
    """Open the page; whatever it complains of, violations of its CSP too, fails the test.

    Chromium itself notes requests without an answer, or with one that refuses: not a complaint.
    """
    complaints, contexts = [], []

    def told(message):
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def start(url, viewport=PHONE, connected=True, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", told)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        if connected:
            page.locator("body[data-link=up]").wait_for()
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(served, look):
    opened = look(served.url)
    opened.locator("#clips li").first.wait_for()
    return opened


def expect(thing):
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)
    return expect(thing)


def record_button(page):
    return page.locator("#record")


def clip_item(page, name):
    return page.locator("#clips li").filter(has_text=name)


def test_it_records_a_clip_that_is_sound_and_says_that_the_receiver_is_lost(tmp_path, serve, look):
    """All of it, with a simulated rig whose receiver is unplugged after a while."""
    told = scenario(tmp_path, "walk", {"kind": "unplug", "part": "gps", "at_s": 12.0})
    shelf = Shelf(tmp_path / "clips", BOOT)
    settings = StorageSettings(folder=str(shelf.folder), keep_free_mb=1)
    camcorder = Camcorder(lambda: simulated_rig(str(told), 2.0), shelf, settings, version="test")
    thread = threading.Thread(target=camcorder.run)
    thread.start()
    try:
        page = look(serve(Control(camcorder, "test")).url, accept_downloads=True)
        expect(page.locator("#state")).to_have_text("Ready")
        page.get_by_role("button", name="Record").click()
        expect(page.locator("#state")).to_have_text("Recording")
        expect(page.locator("#time")).not_to_have_text("00:00:00")
        expect(page.locator("#size")).to_contain_text("kB")
        expect(page.locator("#view")).to_have_attribute("data-picture", "live")
        expect(page.locator("#heading")).to_contain_text("°")
        expect(page.locator("#warnings")).to_contain_text("gps delivers nothing")
        expect(page.locator("#sources tr.lost")).to_contain_text("GPS")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#state")).to_have_text("Ready")
        expect(page.locator("#clips li")).to_have_count(1)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        download.value.save_as(tmp_path / "downloaded.mp4")
    finally:
        camcorder.close()
        thread.join()
    [clip] = shelf.clips()
    assert download.value.suggested_filename == clip.name
    assert (tmp_path / "downloaded.mp4").read_bytes() == clip.path.read_bytes()
    with reader.open(tmp_path / "downloaded.mp4") as opened:
        assert check(opened).sound


def test_time_size_and_room_are_told(page, control):
    expect(page.locator("#time")).to_have_text("00:00:00")
    expect(page.locator("#room")).to_have_text("3474 h")  # at the rate of the newest clip
    control.start()
    expect(page.locator("#time")).to_have_text("00:12:41")
    expect(page.locator("#size")).to_have_text("1.24 GB")
    expect(page.locator("#room")).to_have_text("6 h 20 min")
    expect(page).to_have_title("Recording · cammcorder")


def test_a_glove_that_presses_twice_does_not_end_what_it_began(page, control):
    page.clock.install()
    record_button(page).click()
    expect(page.locator("#state")).to_have_text("Recording")
    record_button(page).click()
    assert control.commands == ["start"]
    page.clock.fast_forward(1000)
    record_button(page).click()
    expect(page.locator("#state")).to_have_text("Ready")
    assert control.commands == ["start", "stop"]


def test_a_moment_is_marked(page, control):
    mark = page.get_by_role("button", name="Mark")
    expect(mark).to_be_disabled()
    control.start()
    mark.click()
    expect(page.locator("#message")).to_have_text("Marked at 00:12:41")
    assert control.marks == [""]


def test_what_is_refused_is_said(page, control):
    control.trouble = "the card is full"
    record_button(page).click()
    expect(page.locator("#message")).to_have_text("the card is full")
    expect(page.locator("#state")).to_have_text("Ready")
    control.trouble = None
    record_button(page).click()
    expect(page.locator("#message")).to_have_text("")
    expect(page.locator("#state")).to_have_text("Recording")


def test_a_protected_clip_cannot_be_deleted(page, control):
    kept = clip_item(page, KEPT)
    protect = kept.get_by_role("button", name="Protect")
    expect(protect).to_have_attribute("aria-pressed", "true")
    expect(kept.get_by_role("button", name="Delete")).to_be_disabled()
    protect.click()
    expect(kept.get_by_role("button", name="Delete")).to_be_enabled()
    assert not control.clip(KEPT).protected
    expect(protect).to_be_focused()
    protect.click()
    expect(kept.get_by_role("button", name="Delete")).to_be_disabled()
    assert control.clip(KEPT).protected


def test_a_clip_is_deleted_when_that_is_confirmed(page, control):
    dialog = page.get_by_role("dialog", name="Delete this clip?")
    delete = clip_item(page, OLD).get_by_role("button", name="Delete")
    delete.click()
    expect(dialog).to_contain_text(OLD)
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    dialog.get_by_role("button", name="Keep it").click()
    delete.click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert len(control.clips()) == 2
    delete.click()
    dialog.get_by_role("button", name="Delete").click()
    expect(clip_item(page, OLD)).to_have_count(0)
    assert [clip["name"] for clip in control.clips()] == [KEPT]


def test_it_can_be_used_without_a_pointer(page, control):
    page.clock.install()
    page.keyboard.press("Space")
    expect(page.locator("#state")).to_have_text("Recording")
    page.clock.fast_forward(1000)
    page.keyboard.press("Tab")
    expect(record_button(page)).to_be_focused()
    assert record_button(page).evaluate("e => getComputedStyle(e).outlineWidth") == "4px"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#message")).to_contain_text("Marked")
    expect(page.locator("#state")).to_have_text("Recording")  # that was the mark's own
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("Ready")
    page.locator("#clips .protect").last.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(clip_item(page, OLD)).to_have_count(0)


def test_a_lost_source_is_loud_and_one_that_never_came_is_not(page, control):
    expect(page.locator("#sources tbody tr").first).to_contain_text("225 Hz")
    control.sources["mag"] |= {"delivering": False, "lost": 31, "error": "no answer at 0x1e"}
    control.sources["gps"] |= {"delivering": False, "delivered": 0}
    lost = page.locator("#sources tr.lost")
    expect(lost).to_have_count(1)
    for words in ("Magnetometer", "nothing", "31", "no answer at 0x1e"):
        expect(lost).to_contain_text(words)
    expect(page.locator("#sources tr.absent")).to_contain_text("GPS")
    control.sources["mag"] |= {"delivering": True}
    expect(lost).to_have_count(0)


def test_sources_that_start_up_are_no_alarm(page, control):
    control.sources["imu"] |= {"delivering": False, "delivered": 0}
    expect(page.locator("#sources tr.lost")).to_contain_text("Motion")
    control.state = "starting"
    expect(page.locator("#sources tr.absent")).to_contain_text("Motion")


def test_a_warning_is_read_out_once(page, control):
    warnings = page.locator("#warnings ul")
    expect(warnings).to_have_attribute("aria-live", "polite")
    page.evaluate(
        """() => {
          window.added = [];
          new MutationObserver((changes) => {
            for (const change of changes) {
              for (const item of change.addedNodes) window.added.push(item.textContent);
            }
          }).observe(document.querySelector("#warnings ul"), { childList: true, subtree: true });
        }"""
    )
    control.warnings = ["the card has 499 MB left"]
    expect(warnings).to_have_text("the card has 499 MB left")
    control.warnings = ["the card has 498 MB left", "mag delivers nothing"]
    expect(warnings.locator("li")).to_have_text(control.warnings)
    control.warnings = ["mag delivers nothing"]
    expect(warnings).to_have_text("mag delivers nothing")
    assert page.evaluate("window.added") == ["the card has 499 MB left", "mag delivers nothing"]


def test_a_lost_connection_is_said_and_comes_back(page, control, served, serve):
    served.close()
    expect(page.locator("#warnings")).to_contain_text("It may still be recording")
    expect(page.locator("#state")).to_have_text("No connection")
    expect(record_button(page)).to_be_disabled()
    serve(control, port=served.port)
    expect(page.locator("#state")).to_have_text("Ready")
    expect(page.locator("#warnings li")).to_have_count(0)


def test_a_camcorder_that_says_nothing_is_lost_too(page, control):
    control.hangs = True
    expect(page.locator("#state")).to_have_text("No connection")
    expect(page.locator("#heading")).to_have_text("\N{EN DASH}")
    control.hangs = False
    expect(page.locator("#state")).to_have_text("Ready")


def test_an_old_picture_is_said_to_be_old(served, control, look):
    page = look("about:blank", connected=False)
    page.route("**/api/preview.jpg", lambda route: route.fulfill(body=PIXEL))
    page.goto(served.url)
    old = page.get_by_text("this was its last picture")
    expect(page.locator("#view")).to_have_attribute("data-picture", "live")
    expect(old).to_be_hidden()
    control.sources["camera"] |= {"delivering": False}
    expect(old).to_be_visible()


def test_a_token_is_asked_for_once_and_kept_out_of_urls(tmp_path, control, serve, look):
    (tmp_path / "token").write_text(TOKEN)
    served = serve(control, token_file=str(tmp_path / "token"))
    page = look(served.url, connected=False, accept_downloads=True)
    urls = []
    page.on("request", lambda request: urls.append(request.url))
    dialog = page.get_by_role("dialog", name="Token")
    dialog.get_by_label("Token").fill("another-of-16-letters")
    dialog.get_by_role("button").click()
    expect(dialog).to_contain_text("not the token")
    dialog.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("Ready")
    for _ in range(2):  # the second time there is a ticket already
        with page.expect_download() as download:
            clip_item(page, OLD).get_by_role("link").click()
        assert Path(download.value.path()).read_bytes() == bytes(1_000_000)
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.locator("#state")).to_have_text("Ready")
    expect(dialog).to_be_hidden()
    assert not [url for url in urls if TOKEN in url]


OF_WORDS = f"""() => {{
  {CONTRASTS}
  return [...words("svg, noscript")].map(([text, element, style]) => [
    text, contrast(style.color, element), parseFloat(style.fontSize), Number(style.fontWeight)
  ]);
}}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state",
    [
        "recording",
        pytest.param("ready", marks=pytest.mark.proof),
        pytest.param("halted", marks=pytest.mark.proof),
    ],
)
def test_all_words_stand_out(control, serve, look, scheme, state):
    """WCAG 1.4.3, level AA: 4.5 to 1, and 3 to 1 for what is large."""
    control.state = state
    control.warnings = ["mag delivers nothing"]
    control.sources["mag"] |= {"delivering": False, "lost": 31, "error": "no answer"}
    control.sources["gps"] |= {"delivering": False, "delivered": 0}
    page = look(serve(control).url, color_scheme=scheme, reduced_motion="reduce")
    page.locator("#clips li").first.wait_for()
    page.locator("#sources tr.lost").wait_for()
    told = page.evaluate(OF_WORDS)
    assert {"mag delivers nothing", KEPT, "Mark", "Room for", "no answer"} <= {t[0] for t in told}
    for words, ratio, size, weight in told:
        large = size >= 24 or (size >= 18.66 and weight >= 700)
        assert ratio >= (3 if large else 4.5), (words, ratio)
    clip_item(page, OLD).get_by_role("button", name="Delete").click()
    assert min(ratio for _, ratio, *_ in page.evaluate(OF_WORDS)) >= 4.5


@pytest.mark.parametrize(
    "size",
    [
        (320, 568),
        (1280, 800),
        pytest.param((568, 320), marks=pytest.mark.proof),
        pytest.param((768, 1024), marks=pytest.mark.proof),
    ],
    ids=str,
)
def test_it_fits_every_screen(control, serve, look, size):
    control.state = "recording"
    control.warnings = ["/var/lib/cammcorder/a/very/long/name/without/any/space has 312 MB left"]
    width, height = size
    page = look(serve(control).url, viewport={"width": width, "height": height})
    page.locator("#clips li").first.wait_for()
    page.locator("#warnings li").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = record_button(page).bounding_box()
    assert box["y"] + box["height"] <= height  # without scrolling
    for control_of_page in page.locator("button:visible, a:visible").all():
        box = control_of_page.bounding_box()
        assert min(box["width"], box["height"]) >= 56  # a gloved finger's


def test_every_control_has_a_name(page):
    session = page.context.new_cdp_session(page)
    clip_item(page, OLD).get_by_role("button", name="Delete").wait_for()
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    kinds = {"button", "link", "textbox", "image", "region", "table", "dialog"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in kinds
    ]
    assert all(name for kind, name in named), named
    names = {name for kind, name in named}
    assert {"Record", "Mark", f"Download {OLD}", f"Protect {OLD}", f"Delete {OLD}"} <= names
    assert sum(kind == "button" for kind, _ in named) == 6


def test_the_state_is_read_out_and_the_figures_are_not(page):
    live = page.locator("[role=status], [role=alert], [aria-live]").all()
    assert {e.get_attribute("id") for e in live} == {"state", "message", None}
    assert page.locator("#time").evaluate("e => e.closest('[role=status], [aria-live]')") is None


def test_nothing_moves_for_those_who_want_it_so(control, serve, look):
    control.state = "recording"
    moves = "document.getAnimations({ subtree: true }).length"
    url = serve(control).url
    page = look(url)
    page.locator("body[data-state=recording]").wait_for()
    assert page.evaluate(moves) > 0
    page = look(url, reduced_motion="reduce")
    page.locator("body[data-state=recording]").wait_for()
    assert page.evaluate(moves) == 0


def test_a_track_of_more_than_an_hour_has_its_beginning_cut_off(page):
    """Its first position is joined to none."""
    places = [[float(t), 37.0 + 1e-6 * t, -122.0] for t in range(7300)]
    page.evaluate('async (places) => (await import("/page/map.js")).setTrack(places)', places)
    expect(page.locator("#track canvas")).to_have_attribute("aria-label", re.compile("Track of"))


def test_the_track_crosses_the_date_line(page):
    """Two hundred metres of it, and not the way round the earth."""
    length = page.evaluate(
        """async () => {
          const { setTrack } = await import("/page/map.js");
          const map = document.querySelector("#track canvas");
          // The page draws its own fixes between, and says every five seconds what it has drawn.
          for (let n = 0; n < 300 && !/223/.test(map.ariaLabel); n++) {
            setTrack([[0, 0, 179.999], [1, 0, -179.999]]);
            await new Promise((done) => setTimeout(done, 100));
          }
          return map.ariaLabel;
        }"""
    )
    assert length.startswith("Track of 223 m")


def test_the_track_is_told_too(page):
    label = page.locator("#track canvas")
    expect(label).to_have_attribute("aria-label", re.compile(r"Track of \d+ m, now at 37\.77"))
    expect(page.locator("#speed")).to_have_text("26 km/h")
    expect(page.locator("#position")).to_contain_text("° N, 122.41940° W")


def test_the_dials_turn_the_short_way(page, control):
    """Over north from 359 to 1 degree, and the horizon against the roll."""
    turned = page.evaluate(
        """async () => {
          const { showAttitude } = await import("/page/dials.js");
          const rose = document.querySelector("#compass .turns");
          const [roll, pitch] = document.querySelectorAll("#horizon .turns");
          const angle = (e) => Number(e.style.transform.match(/-?[\\d.]+/)[0]);
          return [359, 1].map((yaw_deg) => {
            showAttitude({ yaw_deg, pitch_deg: 10, roll_deg: 20 }, null);
            return [angle(rose), angle(roll), angle(pitch)];
          });
        }"""
    )
    (before, *_), (after, roll, pitch) = turned
    assert after - before == pytest.approx(-2)
    assert math.remainder(roll + 20, 360) == pytest.approx(0)
    assert pitch > 0  # looking up, the horizon sinks


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("clock(0)", "00:00:00"),
        ("clock(360000.9)", "100:00:00"),
        ("span(59)", "under 1 min"),
        ("span(3599)", "59 min"),
        ("span(22800)", "6 h 20 min"),
        ("span(720000)", "200 h"),
        ("size(0)", "0 B"),
        ("size(999)", "999 B"),
        ("size(999600)", "1.00 MB"),
        ("size(12345678)", "12.3 MB"),
        ("size(41.7e9)", "41.7 GB"),
        ("rate(29.97)", "30.0 Hz"),
        ("signedDegrees(-1.6)", "\N{MINUS SIGN}2°"),
        ("signedDegrees(-0.2)", "0°"),
        ("signedDegrees(3.4)", "+3°"),
        ("bearing(359.7)", "000° N"),
        ("bearing(274.2)", "274° W"),
        ("position(-33.5, 151.25)", "33.50000° S, 151.25000° E"),
        ("distance(999.4)", "999 m"),
        ("distance(1240)", "1.24 km"),
    ],
)
def test_figures_in_words(words_of, call, words):
    assert words_of(call) == words


@pytest.fixture(scope="module")
def words_of(browser):
    page = browser.new_page()
    source = Path(importlib.util.find_spec("daemon.http").submodule_search_locations[0])
    page.add_script_tag(
        content=(source / "page/words.js").read_text().replace("export ", ""), type=""
    )
    yield page.evaluate
    page.close()
