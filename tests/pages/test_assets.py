"""The files of the pages: small, kept for ever under their digest, and part of the package."""

import httpx

MOST_LINES, MOST_BYTES = 700, 25_000


def test_the_scripts_stay_small() -> None:
    """All JavaScript together is at most 700 lines and 25 kB: the page has no build step."""
    from maingate.pages.assets import assets

    scripts = [content for name, (_, content) in assets().items() if name.endswith(".js")]
    assert len(scripts) == 2
    assert sum(script.count(b"\n") for script in scripts) <= MOST_LINES
    assert sum(map(len, scripts)) <= MOST_BYTES


def test_a_file_is_kept_for_ever_under_its_digest(client: httpx.Client) -> None:
    """A page names the digest of its file; another digest gives the present file for once."""
    from maingate.pages.assets import address

    here = client.get(address("live.js"))
    assert (here.status_code, here.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert here.headers["cache-control"] == "public, max-age=31536000, immutable"
    known = client.get(address("live.js"), headers={"If-None-Match": here.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    other = client.get("/static/000000000000/live.js")
    assert (other.content, other.headers["cache-control"]) == (here.content, "no-cache")


def test_no_other_file_is_given(client: httpx.Client) -> None:
    """A name is looked up among the files of the package, and leads nowhere else."""
    for name in ("nothing.js", "..%2f__init__.py", "%2e%2e/app.py"):
        assert client.get(f"/static/000000000000/{name}").status_code == 404
