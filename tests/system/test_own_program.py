"""Other processes of the program are the program, wherever they are started and however it is installed."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from maingate.system.own_program import own_program


@pytest.fixture
def probe(tmp_path: Path) -> dict[str, Path]:
    """Give the places of a module: the packages of a user, a repository, and a folder of a variable."""
    scheme = sysconfig.get_preferred_scheme("user")
    packages = sysconfig.get_path("purelib", scheme, {"userbase": str(tmp_path / ".local")})
    places = {"user": Path(packages), "repository": tmp_path / "repo", "variable": tmp_path / "variable"}
    for name, place in places.items():
        place.mkdir(parents=True)
        (place / "probe.py").write_text(f"print('of the {name}')\n")
        (place / "json.py").write_text(f"raise SystemExit('json of the {name}')\n")
    return places


@pytest.mark.parametrize("has_users", [True, False])
def test_only_the_packages_of_the_user_are_found_and_only_where_this_process_has_them(
    probe: dict[str, Path], monkeypatch: pytest.MonkeyPatch, has_users: bool
) -> None:
    """`pip install --user` is a way to install it, and a repository may have a `json.py`."""
    monkeypatch.setattr("site.ENABLE_USER_SITE", has_users)
    monkeypatch.setattr("sys.executable", sys._base_executable)  # type: ignore[attr-defined]
    found = subprocess.run(
        own_program("probe"),
        cwd=probe["repository"],
        env={"HOME": str(probe["user"].parents[3]), "PYTHONPATH": str(probe["variable"])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ("of the user\n" if has_users else ""), found.stderr
    assert ("No module named probe" in found.stderr) is not has_users
