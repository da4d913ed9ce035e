"""The files that a gate's command names, looked up in trees."""

from maingate.git.repository import Repository
from maingate.plan.definitions import GateDefinition
from maingate.verdicts.named_files import NamedFiles
from support.factories import GitRepo


def test_a_word_is_absent_from_a_tree_that_has_no_such_file_or_module(repo: GitRepo) -> None:
    """Paths from the root, modules, and tests in a file; a bare word may mean something else."""
    before = repo.commit({"a.txt": "a\n", "pkg/old.py": "x\n"})
    after = repo.commit({"tests/test_new.py": "x\n", "ci/new.sh": "x\n"})
    commands = {
        "path": "python tests/test_new.py -v",
        "item": "pytest ./tests/test_new.py::test_it",
        "module": "python -m unittest tests.test_new",
        "listed": ("sh", "ci/new.sh"),
        "folder": "pytest tests && true",
        "old": "python pkg/old.py ../tests . ./ / .. pkg/old.py/x a:b ::",
        "elsewhere": "cd tests; python test_new.py /etc/passwd",
    }
    definitions = {name: GateDefinition(run=run) for name, run in commands.items()}
    with Repository.open(repo.path) as repository:
        files = NamedFiles(repository, definitions)
        trees = [repository.tree_of(commit) for commit in (before, after)]
        absent = {name: [files.absent(name, tree) for tree in trees] for name in commands}
    assert {name: sorted(old - new) for name, (old, new) in absent.items()} == {
        "path": ["tests/test_new.py"],
        "item": ["./tests/test_new.py::test_it"],
        "module": ["tests.test_new"],
        "listed": ["ci/new.sh"],
        "folder": [],
        "old": [],
        "elsewhere": [],
    }
    assert all(new <= old for old, new in absent.values())
    assert absent["path"][1] == frozenset()
