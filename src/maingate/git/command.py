"""The git command as a typed call: no shell, no prompts, no hooks, and none of the caller's ``GIT_*``.

Standard library only: a UET worker process imports this and has to start in milliseconds.

What a command does must not depend on who runs it. So the environment is scrubbed, the user's and the
machine's configuration are not read, and what a repository's own configuration could still change (hooks,
fsmonitor, signing, line endings, whitespace rules) is overridden on the command line. Only what looks at or
moves a person's own checkout asks for that person's configuration, because a working tree with
``core.autocrlf`` or LFS looks changed to a git that does not know about them.

Nor may it depend on where it runs. A command that is told its git directory runs at the root of the file
system unless it needs another folder, never where the caller happens to be; one that finds its git directory
by its folder takes the one in that very folder, never one above, and no bare one that merely lies there.
"""

import contextlib
import functools
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from maingate.errors import GitError

Argument = str | bytes | os.PathLike[str]

OLDEST_GIT: Final = (2, 35)
"""The oldest git that works: since then ``git apply --3way --cached`` exists and tries three-way first."""

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
"""What keeps git from reading other objects and parents than those that an id stands for."""
_STDERR_LINES: Final = 8


@dataclass(frozen=True, kw_only=True)
class GitResult:
    """What a git command left.

    Args:
        code: Its exit code; negative for the signal that ended it.
        stdout: Its standard output, as it is.
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
    keep_open: Sequence[int] = (),
) -> GitResult:
    """Run one git command to its end, in a process group of its own.

    A Ctrl-C at a terminal, and a supervisor's signal to the group, reach Maingate alone: it decides when to
    stop, and git is not ended in the middle of what it was asked for.

    Args:
        args: What comes after ``git``.
        git_dir: The git directory to work on; given as ``GIT_DIR``, so nothing is discovered.
        cwd: Where to run, the root of the file system by default. Without ``git_dir`` it has to be the top of
            a working tree, or a folder that is in no repository.
        env: Variables set on top of the scrubbed environment.
        input: Bytes for standard input, which is empty otherwise.
        check: Raise when the exit code is not 0; without it the caller judges.
        timeout: Seconds after which the command is ended; None waits for ever.
        persons_config: Read the user's and the machine's configuration too; hooks and signing stay off.
        keep_open: Descriptors that the command inherits, and so holds for as long as it lives.

    Raises:
        GitError: git is missing, could not be run, took too long, or failed and ``check`` was asked for.
    """
    environment = git_environment(persons_config=persons_config, extra=env)
    environment |= _place(git_dir, cwd)
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
            start_new_session=persons_config,  # filters must not ask at a terminal: nobody would answer there
            process_group=None if persons_config else 0,
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
    if check and result.code != 0:
        raise failure(args, result)
    return result


def _place(git_dir: Argument | None, cwd: Argument | None) -> dict[str, str]:
    """Return the variables that say which git directory is meant, so that no other can be found."""
    if git_dir is not None:
        return {"GIT_DIR": os.path.abspath(os.fsdecode(git_dir))}  # noqa: PTH100 - resolves no links
    above = os.path.dirname(os.path.realpath(os.fsdecode(os.sep if cwd is None else cwd)))  # noqa: PTH120
    return {"GIT_CEILING_DIRECTORIES": above}


def _finished(process: "subprocess.Popen[bytes]", given: bytes, timeout: float | None) -> GitResult:
    """Wait for a command; end it, with all that it started in its group, if it takes too long."""
    try:
        stdout, stderr = process.communicate(given, timeout)
    except BaseException:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        raise
    return GitResult(code=process.returncode, stdout=stdout, stderr=os.fsdecode(stderr))


def failure(args: tuple[Argument, ...], result: GitResult) -> GitError:
    """Make the error which says that a command failed, how, and what it said last."""
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
    """Make the environment of a git child: the caller's without any ``GIT_*``, plus what Maingate wants.

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


@functools.cache
def require_git() -> tuple[int, int]:
    """Return the version of git as (major, minor).

    Raises:
        GitError: There is no git, or it is older than Maingate can use.
    """
    said = os.fsdecode(run_git("version").stdout).strip()
    return parse_version(said)


def parse_version(said: str) -> tuple[int, int]:
    """Read what ``git version`` printed, such as ``git version 2.39.5 (Apple Git-154)``.

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
    """Return the options with which git runs where no configuration of a person counts."""
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
