"""Content of others: names, logs and patches never become markup, and never take effect unseen."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.command_line import maingate
from support.factories import GitRepo
from support.landing import write_plan
from support.live_server import Live, served
from support.page_reader import Reader

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
UNSEEN = "\u202e\u200b\x1b[31m"


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Live]:
    """Give a server of a run whose every name, message, path and output is hostile."""
    repo = GitRepo.create(tmp_path / "repo")
    repo.commit({"base.txt": "base\n"}, "base")
    name = f"{EVIL.replace('/', '_')}.txt"
    patch = repo.diff_of({name: f"{EVIL}\n{UNSEEN}\n" + "x" * 100_000 + "\n"})
    gate = f"printf '%s\\n\\033[31mred\\000nul\\n' '{EVIL}'; head -c 200000 /dev/zero | tr '\\0' y; exit 1"
    plan = write_plan(
        tmp_path / "plan",
        {
            "repo": str(repo.path),
            "name": f"{EVIL}",
            "gates": {"unit": {"run": gate}},
            "workstreams": {"evil": {"title": EVIL, "tasks": {"t": {"patch": "p", "message": EVIL}}}},
        },
        {"p": patch},
    )
    maingate("run", str(plan), "--json", cwd=repo.path, home=tmp_path)
    with served([repo.path]) as server:
        yield server


def test_hostile_content_is_text_on_each_page(hostile: Live) -> None:
    """The text is there, escaped: no element, escape sequence, NUL or mark of direction of others."""
    with hostile.client() as client:
        run = client.get("/index.json").json()["repositories"][0]["runs"][0]["id"]
        [patch] = client.get(f"/runs/{run}/ledger.json").json()["patches"]
        pages = [
            *("/", f"/runs/{run}", f"/runs/{run}/ledger", f"/runs/{run}/timeline", f"/patches/{patch['id']}"),
            *(f"/runs/{run}/ledger?q={EVIL}", "/events", f"/events?entity={EVIL[:30]}", f"/go?q={EVIL}"),
            *(f"/events?q={EVIL}", f"/runs/{run}?by=worker", "/workers", "/breakers", "/charts"),
        ]
        texts = {page: _read(client, page) for page in pages}
    for page, text in texts.items():
        assert "<script>" not in text, page
        assert "<img" not in text, page
        assert not set("\x00\x1b\u202e\u200b") & set(text), page
        assert Reader(text).faults == [], page
    assert "&lt;script&gt;alert(1)" in texts[f"/patches/{patch['id']}"]
    panels = texts[f"/patches/{patch['id']}"].count('class="panel judged"')
    assert len(texts[f"/patches/{patch['id']}"]) < 20_000 * (panels + 1), "of outputs only the ends are shown"


def _read(client: httpx.Client, page: str) -> str:
    answer = client.get(page, headers={"Accept": "text/html"})
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    return answer.text
