"""Whether the review page keeps up with a whole concert: two hours, 20,000 intervals, in Chromium.

Run with ``make bench``. Everything is measured in the browser, beside what the machine itself gives in the same run:

- opening: from the request until the page can be used, its model's curves shown;
- scrolling: pictures a second while the timeline moves, at four zooms, beside those of an empty page (without a
  graphics card the browser draws on the processor);
- saving: from the key until the page says so, after a change on each of ten tiers, beside reading the file and
  writing the same bytes, safely, as a plain file.
"""

import os
import shutil
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from playwright.sync_api import Page, sync_playwright

from heads.labelling import Prediction
from heads.postprocessing import PostProcessing
from review.desk import Desk, Sources
from review.serve import ReviewServer
from review.session import Session
from store.annotations import Interval, predicted_tier, read, write
from store.files import write_atomically
from store.vocabulary import Vocabulary

SECONDS, INTERVALS, GESTURES = 7200, 20_000, 18
RATE = 5  # frames a second of the video: what it shows does not matter
NAMES = tuple(f"Gesture {number + 1}" for number in range(GESTURES))
ZOOMS = {"two hours": 7200, "ten minutes": 600, "one minute": 60, "five seconds": 5}
SCROLL = """
async ([span, seconds]) => {
  const canvas = document.getElementById("sound");
  if (canvas) {
    const middle = canvas.getBoundingClientRect();
    const x = middle.left + middle.width / 2;
    const zoom = (factor) => canvas.dispatchEvent(new WheelEvent("wheel",
      { deltaY: Math.log(factor) / 0.002, ctrlKey: true, clientX: x, cancelable: true }));
    zoom(1e6);
    zoom(span / 7200);
  }
  let frames = 0, slowest = 0, last = performance.now();
  const begin = last, painted = Number(document.body.dataset.painted ?? 0);
  while (last - begin < 1000 * seconds) {
    const direction = Math.floor((last - begin) / 500) % 2 ? -1 : 1;
    canvas?.dispatchEvent(new WheelEvent("wheel", { deltaX: 25 * direction, cancelable: true }));
    const now = await new Promise(requestAnimationFrame);
    frames += 1;
    slowest = Math.max(slowest, now - last);
    last = now;
  }
  return [1000 * frames / (last - begin), slowest, Number(document.body.dataset.painted ?? frames) - painted, frames];
}
"""


def make_video(path: Path) -> Path:
    """Write two hours of small grey pictures and of a tone, as MP4."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = output.add_stream("aac", rate=8000, layout="mono")
        tone = np.sin(np.arange(8000) / 9).astype(np.float32)
        for second in range(SECONDS):
            for index in range(second * RATE, (second + 1) * RATE):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index % 250, np.uint8), "rgb24")
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                output.mux(stream.encode(frame))
            heard = av.AudioFrame.from_ndarray((tone * abs(np.sin(second)))[None].astype(np.float32), "fltp", "mono")
            heard.sample_rate, heard.pts, heard.time_base = 8000, second * 8000, Fraction(1, 8000)
            output.mux(sound.encode(heard))
        output.mux(stream.encode(None))
        output.mux(sound.encode(None))
    return path


def make_annotations(path: Path) -> Path:
    """Write the intervals: half of them annotated, half predicted, on 36 tiers."""
    random, found = np.random.default_rng(0), []
    each = INTERVALS // (2 * GESTURES) + 1
    for name in NAMES:
        for tier in (name, predicted_tier(name)):
            begins = (np.arange(each) + random.uniform(0, 0.4, each)) * (SECONDS / each)
            lengths = random.uniform(0.1, 0.5, each) * (SECONDS / each)
            sure = [None] * each if tier == name else random.uniform(0, 1, each).round(2).tolist()
            times = zip(begins.round(3).tolist(), (begins + lengths).round(3).tolist(), sure, strict=True)
            found += [Interval(begin, end, tier, name, confidence) for begin, end, confidence in times]
    write(path, found)
    return path


def prediction() -> Prediction:
    """Return what a model might say: a clip every 0.64 s."""
    begin = np.arange(int(SECONDS / 0.64)) * 0.64
    probability = np.random.default_rng(1).uniform(0, 1, (len(begin), GESTURES))
    post = PostProcessing.plain(np.full(GESTURES, 0.5))
    return Prediction(NAMES, probability, np.column_stack([begin, begin + 0.64]), post, True)


def opening(page: Page, address: str) -> float:
    """Return the seconds until the page can be used: it has drawn, and goes to where a key sends it."""
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.keyboard.press("n")
    page.wait_for_selector("#selection:not([hidden])")
    return time.perf_counter() - began


def saving(page: Page) -> float:
    """Return the seconds from the key until the page says that it is saved, after ten changes."""
    for _ in range(10):
        page.keyboard.press("a")
    page.locator("#saved.unsaved").get_by_text("kept").wait_for()
    page.wait_for_timeout(1000)
    began = time.perf_counter()
    page.keyboard.press("Control+s")
    page.locator("#saved").get_by_text("saved in").wait_for()
    return time.perf_counter() - began


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on this machine")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        video, annotations = make_video(folder / "concert.mp4"), make_annotations(folder / "concert.eaf")
        desk = Desk(video, Session.open(annotations, video, Vocabulary("v", NAMES, None, {}, {})), Sources())
        desk._take_prediction(prediction())
        server = ReviewServer(desk)
        threading.Thread(target=server.run, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto("about:blank")
        limit = page.evaluate(SCROLL, [0, 3])[0]
        count = len(read(annotations).intervals)
        waiting, processors = os.getloadavg()[0], os.cpu_count()
        print(f"on {processors} processors that {waiting:.1f} processes want")
        print(f"a video of {SECONDS // 3600} hours, {count} intervals, {annotations.stat().st_size / 2**20:.1f} MiB")
        print(f"opening: {opening(page, server.address):.2f} s until the page can be used")
        desk.start()
        desk.works["sound"].wait()
        page.wait_for_timeout(2000)
        for zoom, span in ZOOMS.items():
            rate, slowest, painted, frames = page.evaluate(SCROLL, [span, 3])
            print(
                f"scrolling, {zoom} in sight: {rate:.0f} pictures/s, slowest {slowest:.0f} ms, drawn in "
                f"{painted / frames:.0%} of them; an empty page: {limit:.0f} ({rate / limit:.2f} of it)"
            )
        took = saving(page)
        began = time.perf_counter()
        read(annotations)
        write_atomically(folder / "plain.eaf", annotations.read_bytes())
        plain = time.perf_counter() - began
        print(f"saving: {took:.2f} s, {took / plain:.1f} times reading the file and writing its bytes ({plain:.2f} s)")
        browser.close()
        server.stop()
        desk.stop()


if __name__ == "__main__":
    main()
