"""Settings from maingate.toml and from the environment."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from maingate.errors import SettingsError
from maingate.settings import PolicyLayer, Settings, load_settings


def write(root: Path, text: str) -> Path:
    """Write maingate.toml and return the repository's root."""
    (root / "maingate.toml").write_text(text)
    return root


def problems(root: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    """Return what is wrong with the settings, one line each, files by their name."""
    with pytest.raises(SettingsError) as refused:
        load_settings(root, environ or {})
    return [str(problem).replace(f"{root}/", "") for problem in refused.value.problems]


def test_nothing_said_gives_the_defaults(tmp_path: Path) -> None:
    """Without a file and without variables every setting has its default."""
    assert load_settings(tmp_path, {"PATH": "/bin"}) == Settings() == load_settings(None, {})
    assert Settings().policy == PolicyLayer(forbid=("secrets/**",), allow_settings_changes=False)


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    """A variable overrides the file's value and leaves its neighbours."""
    root = write(tmp_path, 'workers = 3\ngate_timeout = "10m"\n[limits]\ncpu = "1m"\nmemory = "1G"\n')
    settings = load_settings(root, {"MAINGATE_WORKERS": "5", "MAINGATE_LIMITS_CPU": "30"})
    assert (settings.workers, settings.gate_timeout) == (5, timedelta(minutes=10))
    assert (settings.limits.cpu, settings.limits.memory) == (timedelta(seconds=30), 1024**3)


def test_variables_have_the_types_of_the_file() -> None:
    """Lists have commas, truths are true and false, paths may begin at home, empty counts as not set."""
    settings = load_settings(
        None,
        {
            "MAINGATE_ENV_ALLOW": "PATH, MY_*",
            "MAINGATE_CONFIRM_FAILURES": "false",
            "MAINGATE_CACHE_DIR": "~/cache",
            "MAINGATE_DATABASE_URL": "",
        },
    )
    assert settings.env_allow == ("PATH", "MY_*")
    assert settings.confirm_failures is False
    assert settings.cache_dir == Path("~/cache").expanduser()
    assert settings.database_url is None


def test_the_secret_of_a_webhook_is_not_among_the_variables_of_gates() -> None:
    """A pattern counts as the name that it stands for; a variable that no gate sees is taken."""
    receiver = {"url": "http://chat.example.org", "secret_env": "CHAT_SECRET"}
    for shown in ("CHAT_SECRET", "CHAT_*"):
        with pytest.raises(ValueError, match="CHAT_SECRET, which 'env_allow' shows to gates"):
            Settings.model_validate({"env_allow": ["PATH", shown], "webhooks": {"chat": receiver}})
    found = Settings.model_validate({"env_allow": ["PATH"], "webhooks": {"chat": receiver}})
    assert (found.receiver_of_secret("CHAT_SECRET"), found.receiver_of_secret("PATH")) == ("chat", None)


def test_all_problems_of_the_file_are_told_with_their_lines(tmp_path: Path) -> None:
    """Unknown keys and wrong values are all listed, where they are, with a hint."""
    root = write(
        tmp_path,
        'worker = 2\ngate_timeout = "-1m"\nconfirm_failures = "yes"\n\n[limits]\ncpuu = '
        "3\n[policy]\nmax_files = 0\n"
        "binaries = true\n",
    )
    assert problems(root) == [
        "maingate.toml:1: unknown key 'worker' (did you mean 'workers'?)",
        (
            "maingate.toml:2: 'gate_timeout': a duration must be above zero, not '-1m' "
            "(remove the key to have its default)"
        ),
        (
            "maingate.toml:3: 'confirm_failures' must be true or false, not 'yes' "
            "(write true or false without quotes)"
        ),
        "maingate.toml:6: unknown key 'cpuu' (did you mean 'cpu'?)",
        "maingate.toml:8: 'max_files' must be at least 1, not 0 (remove the key to have its default)",
        "maingate.toml:9: unknown key 'binaries' (did you mean 'binary'?)",
    ]


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    """A syntax error names its line."""
    (problem,) = problems(write(tmp_path, "workers = 2\nworkers = = 3\n"))
    assert problem.startswith("maingate.toml:2: ")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Bytes that are no text, and a folder in its place, are problems and no tracebacks."""
    (tmp_path / "maingate.toml").write_bytes(b"workers = \xff")
    assert problems(tmp_path) == ["maingate.toml: is not UTF-8 text (save it as UTF-8)"]
    (tmp_path / "maingate.toml").unlink()
    (tmp_path / "maingate.toml").mkdir()
    assert problems(tmp_path) == ["maingate.toml: cannot be read: Is a directory"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Reading a pipe without a writer would block every command for ever."""
    os.mkfifo(tmp_path / "maingate.toml")
    assert problems(tmp_path) == ["maingate.toml: is not an ordinary file"]


def test_a_wrong_variable_is_named() -> None:
    """A mistake in the environment is reported with the variable's name."""
    assert problems(None, {"MAINGATE_WORKERS": "many", "MAINGATE_LIMITS_CPU": "soon"}) == [
        "MAINGATE_WORKERS: 'workers' must be a whole number, not 'many' (write digits only)",
        (
            "MAINGATE_LIMITS_CPU: 'cpu': 'soon' is not a duration "
            "(write 90s, 10m, 1h30m, 1d or a number of seconds)"
        ),
    ]


@pytest.mark.parametrize("number", ["0", "1025", "99999999999999999999999"])
def test_workers_have_bounds(number: str) -> None:
    """No machine runs that many gates at once, and none at all is no use."""
    (problem,) = problems(None, {"MAINGATE_WORKERS": number})
    bound = "at least 1" if number == "0" else "at most 1024"
    said = f"'workers' must be {bound}, not {number} (unset the variable to have its default)"
    assert problem == f"MAINGATE_WORKERS: {said}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:secret@h/x", "databases of the kind 'mysql' cannot be used"),
        ("garbage", "is not the address of a database"),
        ("sqlite://", "a database in memory would lose the record"),
        ("sqlite:///:memory:", "a database in memory would lose the record"),
        ("sqlite:///rel.db", "the path of the database is relative: 'rel.db'"),
        ("postgresql://u:secret@h:port/x", "is not an address of PostgreSQL"),
    ],
)
def test_an_address_that_leads_to_no_database_is_told(url: str, said: str) -> None:
    """A mistake in the address is reported when it is read, without the password in it."""
    (problem,) = problems(None, {"MAINGATE_DATABASE_URL": url})
    assert problem.startswith("MAINGATE_DATABASE_URL: 'database_url': ")
    assert said in problem
    assert "secret" not in problem


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/maingate.db",
        "sqlite:///file:/var/lib/maingate.db?uri=true",
        "postgresql+psycopg://maingate@db.example.org/maingate",
        "postgresql://u:p:w@[::1]:5432/x?sslmode=require",
        "postgresql+psycopg://postgres:@/x?host=/run/postgresql",
    ],
)
def test_addresses_of_databases_are_taken(url: str) -> None:
    """Files by absolute paths, and servers by name, address or socket."""
    assert load_settings(None, {"MAINGATE_DATABASE_URL": url}).database_url == url


def test_the_receiver_of_traces_has_an_address_of_http() -> None:
    """A host alone, or another protocol, is told when it is read; no commit may name the receiver."""
    for url in ("localhost:4318", "grpc://localhost:4317", "http://"):
        (problem,) = problems(None, {"MAINGATE_OTLP_ENDPOINT": url})
        assert "is not the address of a receiver of traces (write http://host:4318)" in problem
    given = "https://otel.example.org/base"
    assert load_settings(None, {"MAINGATE_OTLP_ENDPOINT": given}).otlp_endpoint == given


def test_the_cache_has_an_absolute_path(tmp_path: Path) -> None:
    """A relative path would be another folder wherever a command is called from."""
    assert "'cache' is a relative path" in problems(None, {"MAINGATE_CACHE_DIR": "cache"})[0]
    problem, elsewhere = problems(write(tmp_path, 'cache_dir = "a/b"\n'))
    assert (
        "'cache_dir' is not taken from a file that a commit can change (set MAINGATE_CACHE_DIR)" in elsewhere
    )
    assert problem.startswith("maingate.toml:1: 'cache_dir': 'a/b' is a relative path (write an absolute")


def test_a_misspelt_variable_is_refused_and_a_foreign_one_is_not() -> None:
    """A letter missing is a mistake; a variable that is like none of ours belongs to somebody else."""
    assert problems(None, {"MAINGATE_WORKER": "2"}) == [
        "MAINGATE_WORKER: no setting has this variable (did you mean MAINGATE_WORKERS?)"
    ]
    assert load_settings(None, {"MAINGATE_SERVICE_HOST": "10.0.0.1"}) == Settings()


@pytest.mark.parametrize("name", ["allow", "forbid", "protect", "require_tests", "test_paths"])
def test_a_list_of_the_policy_in_the_environment_is_refused(name: str) -> None:
    """It has no variable; one that was set for safety and did nothing would be a trap."""
    variable = f"MAINGATE_POLICY_{name.upper()}"
    said = (
        f"no setting has this variable (lists of the policy go into maingate.toml: [policy] {name} = [...])"
    )
    assert problems(None, {variable: "*"}) == [f"{variable}: {said}"]
    assert load_settings(None, {variable: ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MAINGATE_POLICY_FORBDI", "lists of the policy go into maingate.toml: [policy] forbid = [...]"),
        ("MAINGATE_POLICY_MAX_FILE", "did you mean MAINGATE_POLICY_MAX_FILES?"),
        ("MAINGATE_LIMITS_MEM", "did you mean MAINGATE_LIMITS_MEMORY?"),
        ("MAINGATE_LIMITS_MEMORY_", "did you mean MAINGATE_LIMITS_MEMORY?"),
        ("MAINGATE_LIMITS", "MAINGATE_LIMITS_FILE_SIZE"),
        ("MAINGATE_LIMITS_", "MAINGATE_LIMITS_FILE_SIZE"),
        ("MAINGATE_LIMITS_XYZZY", "known: MAINGATE_LIMITS_CPU, "),
        ("MAINGATE_POLICY", "MAINGATE_POLICY_BINARY"),
        ("MAINGATE_POLICY_NO_SUCH_THING_AT_ALL", "MAINGATE_POLICY_MAX_FILES"),
    ],
)
def test_a_variable_of_our_tables_that_is_no_setting_is_always_refused(variable: str, hint: str) -> None:
    """Also far from any setting: no other program uses these prefixes, and they are for safety."""
    (problem,) = problems(None, {variable: "1"})
    assert problem.startswith(f"{variable}: no setting has this variable (")
    assert hint in problem
    assert load_settings(None, {"MAINGATE_LIMITSERVICE_HOST": "1", "MAINGATE_POLICYX": "1"}) == Settings()


def test_the_environment_may_only_tighten_the_policy(tmp_path: Path) -> None:
    """A looser policy in the environment is refused, a tighter one wins."""
    root = write(tmp_path, "[policy]\nmax_files = 10\nbinary = false\n")
    assert load_settings(root, {"MAINGATE_POLICY_MAX_FILES": "5"}).policy.max_files == 5
    assert problems(root, {"MAINGATE_POLICY_MAX_FILES": "11", "MAINGATE_POLICY_BINARY": "true"}) == [
        (
            "MAINGATE_POLICY_MAX_FILES: max_files is looser than maingate.toml allows "
            "(at most 10 is granted: lower it or remove the key)"
        ),
        (
            "MAINGATE_POLICY_BINARY: binary is looser than maingate.toml allows "
            "(the layers around it do not grant it: remove the key, or grant it there)"
        ),
    ]


def test_secrets_stay_forbidden_unless_the_file_says_what_is(tmp_path: Path) -> None:
    """A policy that is silent on what to forbid keeps the default; an empty list lifts it."""
    assert load_settings(write(tmp_path, "[policy]\nmax_files = 1\n"), {}).policy.forbid == ("secrets/**",)
    assert load_settings(write(tmp_path, "[policy]\nforbid = []\n"), {}).policy.forbid == ()


def test_bounds_that_cross_are_refused() -> None:
    """The pool's least is not above its most, and waits do not begin above their ceiling."""
    environ = {"MAINGATE_WORKERS": "2", "MAINGATE_WORKERS_MIN": "3", "MAINGATE_RETRY_DELAY": "10m"}
    assert problems(None, environ) == [
        (
            "MAINGATE_WORKERS_MIN: 'workers_min' must be at most 'workers', which is 2, not 3 "
            "(lower it, or raise workers)"
        ),
        (
            "MAINGATE_RETRY_DELAY_MAX: 'retry_delay_max' must be at least 'retry_delay', which is 10m, "
            "not 5m (raise it, or lower retry_delay)"
        ),
    ]


def test_bounds_that_meet_are_taken() -> None:
    """A pool may be of one size, and all waits of one length."""
    settings = load_settings(
        None, {"MAINGATE_WORKERS": "2", "MAINGATE_WORKERS_MIN": "2", "MAINGATE_RETRY_DELAY": "5m"}
    )
    assert settings.workers_min == settings.workers
    assert settings.retry_delay == settings.retry_delay_max
