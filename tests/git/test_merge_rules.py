"""The rules by which a user and a repository want files to be merged."""

from pathlib import Path

import pytest

from maingate.git.merge_rules import MergeRules, read_merge_rules
from support.factories import GitRepo


def rules_of(repo: GitRepo) -> MergeRules:
    """Read the rules of a repository."""
    return read_merge_rules(repo.path / ".git", repo.path)


def test_only_what_decides_about_merges_is_read(repo: GitRepo, hermetic_environment: Path) -> None:
    """The repository's settings come after the user's."""
    (hermetic_environment / ".gitconfig").write_text(
        '[merge]\n\ttool = vim\n\trenames = copies\n[merge "mine"]\n\tdriver = true\n[alias]\n\tx = y\n'
    )
    repo.git("config", "merge.a.b.recursive", "binary")
    repo.git("config", "diff.renameLimit", "7")
    assert rules_of(repo).settings == (
        ("merge.renames", "copies"),
        ("merge.mine.driver", "true"),
        ("merge.a.b.recursive", "binary"),
        ("diff.renamelimit", "7"),
    )


def test_the_files_of_a_driver_are_named_in_full() -> None:
    """A driver runs elsewhere; `%%` is no file, and the path of the merged file stays relative."""
    rules = MergeRules(settings=(("merge.x.driver", 'm "%A" %O %B %P %L %%A'),), place="cd x && ")
    assert rules.settings_in(Path("/run"), None) == [
        ("merge.x.driver", 'cd x && m "/run/%A" /run/%O /run/%B %P %L %%A')
    ]


@pytest.mark.parametrize(
    ("options", "side"),
    [
        ("-X ours", "ours"),
        ("-Xours -Xtheirs", "theirs"),
        ("--strategy-option theirs --log", "theirs"),
        ("--strategy-option=ours", "ours"),
        ("-s ours", None),
        ("--no-ff", None),
    ],
)
def test_the_favoured_side_is_that_of_the_branchs_options(
    repo: GitRepo, options: str, side: str | None
) -> None:
    """Of several, the last counts, as for git."""
    repo.git("config", "branch.topic/x.mergeOptions", options)
    rules = rules_of(repo)
    assert rules.favoured("refs/heads/topic/x") == side
    assert rules.favoured("refs/heads/x") is rules.favoured(None) is None


def test_renames_and_line_ends_follow_the_options(repo: GitRepo) -> None:
    """These options have settings of the same meaning."""
    repo.git("config", "branch.main.mergeOptions", "-X renormalize -X no-renames")
    assert rules_of(repo).settings_in(Path("/run"), "refs/heads/main") == [
        ("merge.renormalize", "true"),
        ("merge.renames", "false"),
    ]


def test_attributes_of_user_and_repository_are_read(repo: GitRepo, hermetic_environment: Path) -> None:
    """The user's file is the one that the configuration names."""
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/attributes").write_text("a merge=union\n")
    (hermetic_environment / "mine").write_text("b merge=union\n")
    repo.git("config", "core.attributesFile", "~/mine")
    rules = rules_of(repo)
    assert (rules.of_user, rules.of_repository) == (b"b merge=union\n", b"a merge=union\n")
