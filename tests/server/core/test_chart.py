"""The map: every site on the sheet, at its place, no label over another, across the date line the short way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.chart import HEIGHT, LETTER, LINE_HEIGHT, WIDTH, Place, draw

places = st.lists(
    st.builds(
        Place,
        st.uuids().map(str),
        st.text("abcdefgh", min_size=1, max_size=14),
        st.floats(-90, 90),
        st.floats(-180, 180),
        st.integers(0, 5000),
    ),
    max_size=40,
)


@given(places)
def test_every_site_is_on_the_sheet(found):
    chart = draw(found)
    assert sorted(dot.key for dot in chart.dots) == sorted(one.key for one in found)
    for dot in chart.dots:
        assert 0 <= dot.x <= WIDTH
        assert 0 <= dot.y <= HEIGHT
    assert len(chart.meridians) <= 14
    assert all(line.label for line in (*chart.meridians, *chart.parallels))


@given(places)
def test_labels_do_not_overlap_and_stay_on_the_sheet(found):
    boxes = []
    for dot in draw(found).dots:
        if dot.anchor:
            wide = LETTER * len(dot.label)
            left = dot.label_x - {"start": 0, "middle": wide / 2, "end": wide}[dot.anchor]
            boxes.append((left, dot.label_y - LINE_HEIGHT + 6, left + wide, dot.label_y + 6))
    for index, a in enumerate(boxes):
        assert a[0] >= 0
        assert a[2] <= WIDTH
        for b in boxes[index + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_north_is_up_and_east_is_right():
    chart = draw([Place("hamburg", "Hamburg", 53.5, 10.0), Place("munich", "Munich", 48.1, 11.6), Place("paris", "Paris", 48.8, 2.3)])
    at = {dot.key: dot for dot in chart.dots}
    assert at["hamburg"].y < at["munich"].y
    assert at["paris"].x < at["hamburg"].x < at["munich"].x
    assert {line.label for line in chart.parallels} >= {"50°N"}


def test_across_the_date_line_the_short_way():
    chart = draw([Place("fiji", "Fiji", -17.7, 178.0), Place("samoa", "Samoa", -13.8, -171.7)])
    at = {dot.key: dot for dot in chart.dots}
    assert at["fiji"].x < at["samoa"].x
    assert "180°W" in {line.label for line in chart.meridians} or "180°E" in {line.label for line in chart.meridians}


def test_one_site_alone_is_in_the_middle_with_lines_around_it():
    chart = draw([Place("a", "A", 53.5, 10.0, 3)])
    assert (chart.dots[0].x, chart.dots[0].y) == (WIDTH / 2, HEIGHT / 2)
    assert len(chart.meridians) >= 2
    assert len(chart.parallels) >= 2


def test_nothing_is_an_empty_sheet():
    assert draw([]).dots == ()


def test_more_devices_a_greater_dot():
    big, small = draw([Place("a", "A", 1, 1, 100), Place("b", "B", 2, 2, 1)]).dots
    assert big.radius > small.radius >= 8
