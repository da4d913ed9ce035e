"""`maingate token`: a token is printed once and alone, listed without its secret, and revoked."""

import json

from maingate.bootstrap import Maingate
from maingate.roles import Role
from maingate.services.http.sessions import SessionService, new_session
from support.command_line import Invoke
from support.factories import GitRepo


def test_a_token_is_printed_alone_and_works(invoke: Invoke, repo: GitRepo) -> None:
    """Standard output has the token and nothing else, so that a script can take it; no run is needed."""
    repo.commit({"a": "1"})
    done = invoke("token", "create", "ci", "--role", "submitter", "--operator", "ada", cwd=repo.path)
    assert done.exit_code == 0
    assert "ci has the role submitter" in done.stderr
    with Maingate.open(repo.path) as maingate:
        found = maingate.tokens.recognise(done.stdout.strip())
    assert found is not None
    assert (found.name, str(found.role), found.created_by) == ("ci", "submitter", "ada")


def test_the_list_has_no_secret(invoke: Invoke, repo: GitRepo) -> None:
    """Neither for people nor as JSON; a revoked token stays listed."""
    repo.commit({"a": "1"})
    made = json.loads(invoke("token", "create", "ci", "--json", cwd=repo.path).stdout)
    assert made["role"] == "viewer"
    invoke("token", "revoke", "ci", cwd=repo.path)
    listed = invoke("token", "list", "--json", cwd=repo.path).stdout
    assert [(each["name"], each["revoked_at"] is None) for each in json.loads(listed)] == [("ci", False)]
    shown = invoke("token", "list", cwd=repo.path).stdout
    assert "revoked" in shown
    secret = made["token"].split("_", 2)[2]
    assert secret not in listed + shown


def test_the_list_says_how_many_sessions_a_token_has(invoke: Invoke, repo: GitRepo) -> None:
    """By it a person sees whether a browser is still logged in."""
    repo.commit({"a": "1"})
    with Maingate.open(repo.path) as maingate:
        text = maingate.tokens.create("ci", Role.VIEWER, operator="ada").text
        for _ in range(2):
            SessionService(maingate.context, maingate.tokens).begin(new_session(), text)
    listed = json.loads(invoke("token", "list", "--json", cwd=repo.path).stdout)
    assert [each["sessions"] for each in listed] == [2]
    [heading, row] = invoke("token", "list", cwd=repo.path).stdout.splitlines()
    assert row[heading.index("sessions")] == "2"


def test_before_the_first_token_the_list_says_so(invoke: Invoke, repo: GitRepo) -> None:
    """An empty list is no error."""
    repo.commit({"a": "1"})
    assert invoke("token", "list", cwd=repo.path).exit_code == 0
    with Maingate.open(repo.path):
        pass
    assert "No tokens yet" in invoke("token", "list", cwd=repo.path).stdout


def test_revoking_what_is_not_there_is_refused(invoke: Invoke, repo: GitRepo) -> None:
    """The message names the command that lists all."""
    repo.commit({"a": "1"})
    invoke("token", "create", "ci", cwd=repo.path)
    done = invoke("token", "revoke", "cy", cwd=repo.path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "maingate token list" in done.stderr
