"""A reader of pages: their links and identifiers, and the faults of their markup."""

from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "input", "br", "img", "hr"})


class Reader(HTMLParser):
    """Reads a page: its links, its scripts, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.ids: list[str] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.faults += [f"<{tag}> stays open" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag."""
        given = dict(attrs)
        self.links += [link for link in (given.get("href"),) if link and tag == "a"]
        self.ids += [id_ for id_ in (given.get("id"),) if id_]
        if (
            "style" in given
            or any(name.startswith("on") for name in given)
            or (tag == "script" and not given)
        ):
            self.faults.append(f"<{tag}> has code or style of its own")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element without content."""
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Take an end."""
        if tag in VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> ends something else")
