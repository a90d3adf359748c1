"""The diagram of `docs/concepts.md` is what its script draws."""

from xml.etree import ElementTree

from tools.data_flow import ARROWS, BOXES, HEIGHT, OUTPUT, WIDTH, draw


def test_committed_picture_is_the_drawn_one():
    assert OUTPUT.read_text(encoding="utf-8") == draw()


def test_picture_is_well_formed():
    root = ElementTree.fromstring(draw())
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {box.title for box in BOXES} <= set(texts)


def test_boxes_lie_apart_and_inside():
    for box in BOXES:
        assert 0 < box.left < box.left + box.width < WIDTH
        assert 0 < box.top < box.top + box.height < HEIGHT
        for other in BOXES:
            if other is not box:
                apart = (
                    box.left + box.width <= other.left
                    or other.left + other.width <= box.left
                    or box.top + box.height <= other.top
                    or other.top + other.height <= box.top
                )
                assert apart, (box.title, other.title)


def test_arrows_end_at_boxes():
    """A head touches the edge of the box that it points to: within its own stroke."""
    for arrow in ARROWS:
        (x, y), places = arrow.points[-1], []
        for box in BOXES:
            beside = min(abs(x - box.left), abs(x - box.left - box.width))
            above = abs(y - box.top)
            places.append(
                (beside <= 2 and box.top < y < box.top + box.height)
                or (above <= 2 and box.left < x < box.left + box.width)
            )
        assert sum(places) == 1, arrow
