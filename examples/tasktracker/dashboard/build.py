"""Builds the dashboard without Node: release filled in, assets named by their content, a manifest of both.

    python3 build.py --release 1.1.0 --out dist
"""

import argparse
import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent
ASSETS = ("app.js", "style.css")


def build(release: str, out: Path) -> dict[str, str]:
    """Write index.html, assets/NAME.HASH.EXT and manifest.json to `out`; gives {name: path}."""
    (out / "assets").mkdir(parents=True, exist_ok=True)
    page, manifest = (HERE / "index.html").read_text().replace("__RELEASE__", release), {}
    for name in ASSETS:
        content = (HERE / name).read_text().replace("__RELEASE__", release)
        stem, _, extension = name.partition(".")
        path = f"assets/{stem}.{hashlib.sha256(content.encode()).hexdigest()[:12]}.{extension}"
        (out / path).write_text(content)
        page, manifest[name] = page.replace(f"assets/{name}", path), path
    (out / "index.html").write_text(page)
    (out / "manifest.json").write_text(json.dumps({"release": release, "files": manifest}, indent=1) + "\n")
    return manifest


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", required=True)
    parser.add_argument("--out", type=Path, default=HERE / "dist")
    arguments = parser.parse_args()
    for name, path in build(arguments.release, arguments.out).items():
        print(f"{name} -> {path}")
