from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.image import imread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[2] / "notebooks"


def test_the_picture_of_the_readme_is_made_by_its_code_and_whole(tmp_path: Path) -> None:
    code = runpy.run_path(str(FOLDER / "picture.py"))
    figure: Figure = code["draw"]()
    figure.draw_without_rendering()
    inner, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(inner.x0, inner.y0) >= 0
    assert inner.x1 <= width
    assert inner.y1 <= height
    path = tmp_path / "picture.png"
    code["main"](path)
    # releases of matplotlib differ in pixels
    drawn, kept = imread(path), imread(FOLDER / "picture.png")
    assert drawn.shape == kept.shape
    assert abs(float(drawn.mean()) - float(kept.mean())) < 0.01
    assert kept[0, 0, :3].tolist() == [1, 1, 1]
