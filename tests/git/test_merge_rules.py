"""The rules by which a user and a repository want files to be merged."""

from pathlib import Path
from typing import Any

import pytest

from maingate.errors import RepositoryError
from maingate.git import merge_rules
from maingate.git.command import run_git
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
    ("options", "words"),
    [
        ("-X ours", ["-X", "ours"]),
        ("-Xours -Xtheirs", ["-X", "ours", "-X", "theirs"]),
        ("--strategy-option find-renames=70% --log", ["-X", "find-renames=70%"]),
        ("--strategy=recursive --no-ff", ["-s", "recursive"]),
        (
            "-srecursive --strategy-option=diff-algorithm=patience",
            ["-s", "recursive", "-X", "diff-algorithm=patience"],
        ),
        ("-s ort -X renormalize", ["-s", "ort", "-X", "renormalize"]),
        ("-s ort", None),
        ("--no-ff --log --signoff", None),
        ("", None),
    ],
)
def test_strategies_and_their_options_are_those_of_the_branch(
    repo: GitRepo, options: str, words: list[str] | None
) -> None:
    """Other options say what a merge looks like, which the plan does; other branches have none of them."""
    repo.git("config", "branch.topic/x.mergeOptions", options)
    rules = rules_of(repo)
    assert rules.command_words("refs/heads/topic/x") == words
    assert rules.command_words("refs/heads/x") is rules.command_words(None) is None


@pytest.mark.parametrize(
    "options", ["-s ours", "-s resolve", "-s subtree", "-X subtree=lib", "-X nothing", "--strat=ort", "-m 'x"]
)
def test_options_that_are_not_known_are_refused(repo: GitRepo, options: str) -> None:
    """The message has the setting; nothing is merged otherwise than it says."""
    repo.git("config", "branch.main.mergeOptions", options)
    with pytest.raises(RepositoryError, match=r"branch\.main\.mergeOptions"):
        rules_of(repo).command_words("refs/heads/main")


@pytest.mark.parametrize(
    ("setting", "options", "asked_by"),
    [
        ("true", "", "merge.verifySignatures"),
        ("2", "", "merge.verifySignatures"),
        ("off", "", None),
        ("false", "--verify-signatures", "branch.main.mergeOptions"),
        ("true", "--no-verify-signatures", None),
    ],
)
def test_signatures_are_checked_where_git_would_check_them(
    repo: GitRepo, setting: str, options: str, asked_by: str | None
) -> None:
    """The options of the branch come after the setting; the check has git's settings for it."""
    repo.git("config", "merge.verifySignatures", setting)
    repo.git("config", "gpg.format", "ssh")
    repo.git("config", "branch.main.mergeOptions", options)
    rules = rules_of(repo)
    assert rules.command_words("refs/heads/main") is rules.command_words(None) is None
    check = rules.signature_check("refs/heads/main")
    assert (None if check is None else check.asked_by) == asked_by
    assert check is None or check.settings == (("gpg.format", "ssh"),)


def test_a_strategy_of_all_branches_counts_where_the_branch_names_none(repo: GitRepo) -> None:
    """`git merge` reads `pull.twohead`; `git rebase` does not."""
    repo.git("config", "pull.twohead", "recursive")
    repo.git("config", "branch.x.mergeOptions", "-s ort")
    rules = rules_of(repo)
    found = [rules.command_words(name) for name in ("refs/heads/main", "refs/heads/x", None)]
    assert found == [[], None, None]
    repo.git("config", "pull.twohead", "octopus")
    with pytest.raises(RepositoryError, match=r"pull\.twohead"):
        rules_of(repo).command_words("refs/heads/main")


def test_filters_take_part_where_line_ends_are_made_alike(repo: GitRepo) -> None:
    """Git converts both sides then; in other merges no filter runs."""
    repo.git("config", "filter.x.clean", "cat")
    repo.git("config", "filter.x.required", "true")
    repo.git("config", "branch.main.mergeOptions", "-X renormalize")
    rules = rules_of(repo)
    assert rules.settings_in(Path("/run"), "refs/heads/main") == [
        ("filter.x.clean", f"{rules.place}cat"),
        ("filter.x.required", "true"),
    ]
    assert rules.settings_in(Path("/run"), "refs/heads/x") == []


def test_the_algorithm_of_diffs_is_told_to_a_git_that_merges_by_it(repo: GitRepo) -> None:
    """`git merge` goes by `diff.algorithm` since 2.46, `git merge-tree` by its option."""
    repo.git("config", "diff.algorithm", "patience")
    rules = rules_of(repo)
    assert rules.tree_options((2, 46)) == ("-Xdiff-algorithm=patience",)
    assert rules.tree_options((2, 39)) == ()


def test_attributes_of_user_and_repository_are_read(repo: GitRepo, hermetic_environment: Path) -> None:
    """The user's file is the one that the configuration names."""
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/attributes").write_text("a merge=union\n")
    (hermetic_environment / "mine").write_text("b merge=union\n")
    repo.git("config", "core.attributesFile", "~/mine")
    rules = rules_of(repo)
    assert (rules.of_user, rules.of_repository) == (b"b merge=union\n", b"a merge=union\n")


def test_git_is_asked_where_the_users_attributes_are_only_if_a_setting_says(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each start of git is time that every landing takes."""
    asked: list[str] = []

    def counted(*words: str, **options: Any) -> Any:
        asked.append(words[-1])
        return run_git(*words, **options)

    monkeypatch.setattr(merge_rules, "run_git", counted)
    rules_of(repo)
    assert asked == ["-z"]
    repo.git("config", "core.attributesFile", "/dev/null")
    rules_of(repo)
    assert asked == ["-z", "-z", "core.attributesFile"]
