"""Names that are not ASCII work in an environment in which Python would take none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import a_clean_environment
from support.factories import GitRepo

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are UTF-8 there, whatever the locale")
def test_a_plan_may_name_any_file_and_command(
    repo: GitRepo, tmp_path: Path, hermetic_environment: Path
) -> None:
    """The same process goes on in UTF-8 mode: patches, commands and values are passed on as written."""
    repo.commit({"f": "1\n"})
    folder = tmp_path / "plän"
    folder.mkdir()
    (folder / "é.diff").write_bytes(repo.diff_of({"f": "2\n"}))
    plan = {
        "maingate": 1,
        "repo": str(repo.path),
        "gates": {
            "unit": {"run": "test $NAME = ü && echo ö > $OUT/ö", "env": {"NAME": "ü", "OUT": str(tmp_path)}}
        },
        "workstreams": {"w": {"tasks": {"t": {"patch": "é.diff"}}}},
    }
    (folder / "ß.yaml").write_text(json.dumps(plan, ensure_ascii=False), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "maingate", "run", str(folder / "ß.yaml")],
        env=a_clean_environment(hermetic_environment) | ASCII,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "ö").read_text(encoding="utf-8") == "ö\n"
    assert repo.git("show", "main:f") == "2"
