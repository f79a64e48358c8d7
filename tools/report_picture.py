"""Take the picture of docs/report.md: python tools/report_picture.py

Needs Chromium and its driver.
"""

import base64
import io
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "build/report/cost.html", ROOT / "docs/report.png"
SECTION = "section:nth-of-type(3)"  # what each unit does in a step
COLOURS = 64

sys.path.insert(0, str(ROOT))
from tests.helpers.browser import browser  # noqa: E402

command = [sys.executable, "-m", "egru_cli", "cost", "mnist1d", "--sequences", "20"]
subprocess.run([*command, "--html", PAGE], cwd=ROOT, check=True)
with browser() as chromium:
    chromium.open(PAGE, 1000, 900)
    (element,) = chromium.call("POST", "/element", using="css selector", value=SECTION).values()
    png = base64.b64decode(chromium.call("GET", f"/element/{element}/screenshot"))
Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)
print(f"wrote {PICTURE}, {PICTURE.stat().st_size} bytes")
