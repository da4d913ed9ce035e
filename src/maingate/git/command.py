"""The git command as a typed call: no shell, no prompts, no hooks, and none of the caller's ``GIT_*``.

Standard library only: a UET worker process imports this and has to start in milliseconds.

The effect of a command must not depend on its user. So the environment is scrubbed, the configurations of
user and machine are not read, and the parts that a repository's own configuration could still change (hooks,
fsmonitor, signing, line endings, whitespace rules) are overridden on the command line. Only commands about a
person's own checkout read that person's configuration, because a working tree with ``core.autocrlf`` or LFS
looks changed to a git without it.

Nor may it depend on the current folder. A command with a given git directory runs at the root of the file
system unless it needs another folder; a command that finds its git directory by its folder uses the one in
that folder, never one above it, and no bare one that lies there.
"""

import contextlib
import functools
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from maingate.clock import LOOK, RunningTime
from maingate.errors import GitError

Argument = str | bytes | os.PathLike[str]

OLDEST_GIT: Final = (2, 35)
"""The oldest usable git: the first whose ``git apply --3way --cached`` tries a three-way merge first."""

_ALWAYS: Final = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "rerere.enabled": "false",
    "advice.detachedHead": "false",
    "safe.bareRepository": "explicit",
}
_HERMETIC: Final = {
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.quotePath": "true",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.splitIndex": "false",
    "core.untrackedCache": "false",
    "index.version": "2",
    "apply.whitespace": "nowarn",
    "apply.ignoreWhitespace": "no",
    "diff.noprefix": "false",
    "diff.mnemonicPrefix": "false",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "color.ui": "false",
}
_KEPT_FOR_PERSON: Final = frozenset({"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"})
_IDENTITY: Final = {
    "GIT_AUTHOR_NAME": "Maingate",
    "GIT_AUTHOR_EMAIL": "maingate@localhost",
    "GIT_COMMITTER_NAME": "Maingate",
    "GIT_COMMITTER_EMAIL": "maingate@localhost",
}
_UNREPLACED: Final = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": f"{os.devnull}/none",
}
"""The variables by which git ignores replaced objects and grafted parents."""
_STDERR_LINES: Final = 8


@dataclass(frozen=True, kw_only=True)
class GitResult:
    """The result of a git command.

    Args:
        code: Its exit code; negative for the signal that ended it.
        stdout: Its standard output.
        stderr: Its standard error, decoded so that bytes which are not UTF-8 can be told apart.
    """

    code: int
    stdout: bytes
    stderr: str


def run_git(
    *args: Argument,
    git_dir: Argument | None = None,
    cwd: Argument | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,  # noqa: A002 - the name subprocess has taught everyone
    check: bool = True,
    timeout: float | None = None,
    persons_config: bool = False,
    runs_programs: bool = False,
    unsaid: str = "",
    keep_open: Sequence[int] = (),
) -> GitResult:
    """Run one git command to its end, in a process group of its own.

    A Ctrl-C at a terminal, and a supervisor's signal to the group, reach Maingate alone: it decides when to
    stop, and git is not ended in the middle of its work.

    Args:
        args: The arguments after ``git``.
        git_dir: The git directory, passed as ``GIT_DIR``, so that git searches for none.
        cwd: The folder to run in; default: the root of the file system. Without ``git_dir`` it must be the
            top of a working tree, or a folder that is in no repository.
        env: Variables set on top of the scrubbed environment.
        input: Bytes for standard input, which is empty otherwise.
        check: Whether to raise when the exit code is not 0; otherwise the caller checks it.
        timeout: Seconds after which the command is ended, without those in which this process was stopped;
            None for no limit.
        persons_config: Read the user's and the machine's configuration too; hooks and signing stay off.
        runs_programs: The command may run programs of the user's, such as filters: they must not ask at a
            terminal.
        unsaid: A text that is left out of what git prints on standard error, such as what Maingate put before
            a command of the user's.
        keep_open: Descriptors that the command inherits, and so holds for as long as it lives.

    Raises:
        GitError: git is missing, could not be run, took too long, or failed and ``check`` was asked for.
    """
    environment = git_environment(persons_config=persons_config, extra=env)
    environment |= _place(git_dir, cwd)
    is_apart = persons_config or runs_programs  # filters must not ask at a terminal: no person would answer
    try:
        words = ["git", *_options(persons_config=persons_config), *args]
        with subprocess.Popen(
            words,
            cwd=os.sep if cwd is None else cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=keep_open,
            start_new_session=is_apart,
            process_group=None if is_apart else 0,
        ) as process:
            result = _finished(process, input or b"", timeout)
    except FileNotFoundError as error:
        raise _cannot_start(error, cwd) from error
    except subprocess.TimeoutExpired as error:
        raise GitError(
            f"`{_shown(args)}` did not end within {timeout:g} s and was ended", command=_words(args)
        ) from error
    except OSError as error:
        raise GitError(f"git could not be run: {error}", command=_words(args)) from error
    if unsaid:
        result = replace(result, stderr=result.stderr.replace(unsaid, ""))
    if check and result.code != 0:
        raise failure(args, result)
    return result


def _place(git_dir: Argument | None, cwd: Argument | None) -> dict[str, str]:
    """Return the variables that fix the git directory, so that no other can be found."""
    if git_dir is not None:
        return {"GIT_DIR": os.path.abspath(os.fsdecode(git_dir))}  # noqa: PTH100 - resolves no links
    above = os.path.dirname(os.path.realpath(os.fsdecode(os.sep if cwd is None else cwd)))  # noqa: PTH120
    return {"GIT_CEILING_DIRECTORIES": above}


def _finished(process: "subprocess.Popen[bytes]", given: bytes, timeout: float | None) -> GitResult:
    """Wait for a command; end it, with its whole process group, if it takes too long."""
    try:
        stdout, stderr = _said(process, given, timeout)
    except BaseException:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        raise
    return GitResult(code=process.returncode, stdout=stdout, stderr=os.fsdecode(stderr))


def _said(process: "subprocess.Popen[bytes]", given: bytes, timeout: float | None) -> tuple[bytes, bytes]:
    """Wait for a command and return its output.

    Raises:
        subprocess.TimeoutExpired: It took too long.
    """
    if timeout is None:
        return process.communicate(given)
    if given:  # input cannot be given in turns; a command that was stopped as well may just need to go on
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(given, timeout)
        timeout = LOOK
    time = RunningTime()
    while True:
        try:
            return process.communicate(timeout=max(0.0, min(LOOK, timeout - time.now())))
        except subprocess.TimeoutExpired:
            if time.now() >= timeout:
                raise


def failure(args: tuple[Argument, ...], result: GitResult) -> GitError:
    """Return the error of a failed command, with its exit code and its last output."""
    how = f"exited with {result.code}" if result.code >= 0 else f"was ended by signal {-result.code}"
    said = "\n".join(result.stderr.strip().splitlines()[-_STDERR_LINES:]) or "it said nothing"
    return GitError(
        f"`{_shown(args)}` {how}: {said.encode(errors='backslashreplace').decode()}",
        command=_words(args),
        exit_code=result.code,
        stderr=result.stderr,
    )


def git_environment(
    *, persons_config: bool = False, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a git child: the caller's without any ``GIT_*``, plus Maingate's own.

    Args:
        persons_config: Leave the user's and the machine's git configuration in force.
        extra: Variables set on top.
    """
    kept = _KEPT_FOR_PERSON if persons_config else frozenset[str]()
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in kept}
    if not persons_config:
        env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
        env |= _UNREPLACED
    env |= {"LC_ALL": "C", "LANGUAGE": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    return env | _IDENTITY | dict(extra or {})


def require_git() -> tuple[int, int]:
    """Return the version of git as (major, minor).

    Raises:
        GitError: There is no git, or it is older than Maingate can use.
    """
    return parse_version(git_version(os.environ.get("PATH", os.defpath)))


@functools.cache
def git_version(path: str) -> str:
    """Return what the git on a PATH says of its version, such as ``git version 2.39.5``.

    Raises:
        GitError: There is no git.
    """
    return os.fsdecode(run_git("version", env={"PATH": path}).stdout).strip()


def parse_version(said: str) -> tuple[int, int]:
    """Parse the output of ``git version``, such as ``git version 2.39.5 (Apple Git-154)``.

    Raises:
        GitError: It is too old or not a version.
    """
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None:
        raise GitError(
            f"`git version` printed {said!r}, which is no version; is the git on PATH the real one?"
        )
    version = (int(found[1]), int(found[2]))
    if version < OLDEST_GIT:
        wanted = ".".join(map(str, OLDEST_GIT))
        raise GitError(f"git {found[0]} is too old: Maingate needs {wanted} or newer; install a newer git")
    return version


def hermetic_options() -> tuple[str, ...]:
    """Return the options of git where no configuration of a person applies."""
    return _options(persons_config=False)


@functools.cache
def _options(*, persons_config: bool) -> tuple[str, ...]:
    settings = _ALWAYS if persons_config else _ALWAYS | _HERMETIC
    return tuple(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))


def _cannot_start(error: FileNotFoundError, cwd: Argument | None) -> GitError:
    if cwd is not None and not os.path.isdir(cwd):  # noqa: PTH112 - cwd may be bytes
        return GitError(f"git could not be run in {os.fsdecode(cwd)}: there is no such directory")
    return GitError(f"git was not found ({error.strerror}): install git and see that it is on PATH")


def _words(args: tuple[Argument, ...]) -> tuple[str, ...]:
    return tuple(os.fsdecode(arg) for arg in args)


def _shown(args: tuple[Argument, ...]) -> str:
    return "git " + " ".join(_words(args)).encode(errors="backslashreplace").decode()
