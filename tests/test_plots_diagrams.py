"""Diagrams of the lessons: every part that is asked for is drawn, once, and an unknown one is named."""

import pytest
from matplotlib.patches import Polygon

from course_lib import plots


def words(fig) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts if text.get_text()]


def test_pyramid_has_every_map_once():
    fig = plots.feature_pyramid([("C3", 96, 16), ("C4", 128, 8), ("C5", 192, 4)], 64, [("P6", 2), ("P7", 1)])
    drawn = words(fig)
    for name in ("C3", "C4", "C5", "P3", "P4", "P5", "P6", "P7", "[128, 8, 8]"):
        assert drawn.count(name) == 1, name
    assert drawn.count("+") == drawn.count("enlarge") == 2  # C5 gets nothing from above
    assert drawn.count("1 × 1") == drawn.count("3 × 3") == 3 and drawn.count("3 × 3, stride 2") == 2
    sides = [
        patch.get_xy()[:, 0].max() - patch.get_xy()[:, 0].min()
        for patch in fig.axes[0].patches
        if isinstance(patch, Polygon)
    ]
    assert len(sides) == 8 and max(sides) == pytest.approx(sides[0])  # the finest is the widest
    plots.plt.close(fig)


def test_pyramid_without_further_levels():
    fig = plots.feature_pyramid([("C4", 8, 6), ("C5", 16, 3)], 32)
    assert "P6" not in words(fig) and words(fig).count("+") == 1
    plots.plt.close(fig)


def test_flow_takes_other_names_for_its_parts():
    fig = plots.data_flow(("heads",), {"heads": "two towers"})
    written = [text.get_text() for text in fig.axes[0].texts]
    assert "two towers" in written and not any("two per map" in text for text in written)
    plots.plt.close(fig)
    with pytest.raises(ValueError, match="mouth: no part of the diagram"):
        plots.data_flow((), {"mouth": "towers"})


def test_flow_marks_what_is_asked_for():
    fig = plots.data_flow(("loss", "match"))
    bold = [text.get_text() for text in fig.axes[0].texts if text.get_weight() == "bold"]
    assert sorted(bold) == ["loss", "match"]
    plots.plt.close(fig)
    with pytest.raises(ValueError, match="mouth: no part of the diagram"):
        plots.data_flow(("mouth",))


def test_pipeline_draws_every_part_and_what_is_repeated():
    parts = [("picture", "data"), ("look", "new"), ("head", "known"), ("boxes", "data")]
    fig = plots.pipeline(parts, repeated=(1, 2, "9 times"), also=(0, 2, "shared"))
    assert sorted(words(fig)) == sorted([text for text, _ in parts] + ["9 times", "shared"])
    assert [text.get_text() for text in fig.axes[0].texts if text.get_weight() == "bold"] == ["look"]
    plots.plt.close(fig)
    plain = plots.pipeline(parts)
    assert len(plain.axes[0].patches) == 2 and plain.get_figheight() < fig.get_figheight()
    plots.plt.close(plain)
