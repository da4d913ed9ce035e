"""Elements of SVG: nothing in a text or an attribute becomes markup."""

from maingate.pages.drawing.svg import element, joined, picture


def test_text_and_attributes_are_escaped() -> None:
    """Text of others cannot end an element or an attribute."""
    made = element("text", "</text><script>", class_='a"b', data_x="<", x=1.25)
    assert made == '<text class="a&quot;b" data-x="&lt;" x="1.2">&lt;/text&gt;&lt;script&gt;</text>'


def test_elements_stay_elements_inside_others() -> None:
    """Only text is escaped; attributes of None are left out."""
    assert element("g", element("a", "x", href=None), "<") == "<g><a>x</a>&lt;</g>"
    assert joined([element("a"), "<"]) == "<a></a>&lt;"


def test_characters_that_xml_forbids_are_replaced() -> None:
    """NUL and lone surrogates would end the reading of the page."""
    assert element("text", "a\x00b\udcff") == "<text>a\ufffdb\ufffd</text>"


def test_a_picture_says_what_it_shows() -> None:
    """Readers who do not see it read its label."""
    made = picture(width=10, height=5.5, label="A & B", kind="chart")
    assert made.startswith('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 5.5" ')
    assert "<title>A &amp; B</title>" in made
