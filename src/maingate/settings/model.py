"""Everything that can be set, once, for a repository and a machine."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from maingate.settings.addresses import absolute_folder, check_database_url
from maingate.settings.durations import Duration, Size, format_duration
from maingate.settings.policy import PolicyLayer

MIB: Final = 1024 * 1024

MOST_WORKERS: Final = 1024
"""More gates at once than any one machine runs; above it, a number is a slip of the keyboard."""

MACHINE_SIZED: Final = ("workers",)
"""Settings whose default depends on the machine."""

NEVER_FROM_A_TREE: Final = ("database_url", "cache_dir", "env_allow", "prompt_template")
"""Settings that no commit may decide: where the record and the caches lie, and what is given out."""

DEFAULT_FORBID: Final = ("secrets/**",)
"""What no patch may touch unless `maingate.toml` says otherwise (docs/SPECIFICATION.md §2.6)."""

DEFAULT_ENVIRONMENT: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""What gates see of the environment: enough to find programs and reach a network."""


def _usable_processors() -> int:
    """Count the processors this process may run on; fewer than the machine has when it is confined."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


Positive = Annotated[StrictInt, Field(ge=1)]


class GateLimits(BaseModel):
    """Limits on what one gate, command or tool may use of the machine; none unless set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: Duration | None = Field(
        default=None, examples=["10m"], description="Processor time of one process. Defaults to no limit."
    )
    memory: Size | None = Field(
        default=None, examples=["4GiB"], description="Address space of one process. Defaults to no limit."
    )
    processes: Positive | None = Field(
        default=None,
        examples=[512],
        description="Processes that the user may have at once. Defaults to no limit.",
    )
    file_size: Size | None = Field(
        default=None, examples=["1GiB"], description="Size of one file written. Defaults to no limit."
    )


class Settings(BaseModel):
    """What `maingate.toml` and `MAINGATE_*` say, with defaults for the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: Annotated[str, AfterValidator(check_database_url)] | None = Field(
        default=None,
        examples=["postgresql+psycopg://maingate@db.example.org/maingate"],
        description="Where runs are recorded: `postgresql+psycopg://…`, or `sqlite:////absolute/path.db`. "
        "Defaults to SQLite in `maingate/maingate.db` in git's common directory (`.git`).",
    )
    workers: Annotated[StrictInt, Field(ge=1, le=MOST_WORKERS)] = Field(
        default_factory=_usable_processors,
        examples=[4],
        description=f"How many gates, commands and tools run at once, at most {MOST_WORKERS}. "
        "Defaults to the number of processors.",
    )
    workers_min: Annotated[StrictInt, Field(ge=0, le=MOST_WORKERS)] = Field(
        default=0,
        description="How many workers are kept while nothing waits for them, at most `workers`. "
        "Defaults to `0`.",
    )
    worker_idle_time: Duration = Field(
        default=timedelta(seconds=60),
        description="How long a worker beyond `workers_min` idles before it is ended. Defaults to `1m`.",
    )
    heartbeat_interval: Duration = Field(
        default=timedelta(seconds=60),
        description="How often workers and the control process give a sign of life. Defaults to `1m`.",
    )
    heartbeat_misses: Positive = Field(
        default=2,
        description="Signs of life that a busy worker may miss before it counts as unresponsive. "
        "Defaults to `2`.",
    )
    recovery_window: Duration = Field(
        default=timedelta(seconds=300),
        description="How long an unresponsive worker has to come back before it is ended and its work is "
        "given to another. Defaults to `5m`.",
    )
    lost_attempts: Positive = Field(
        default=5,
        description="How many attempts of a task may be lost with their process before it fails; "
        "counted apart from its own failures. Defaults to `5`.",
    )
    cache_dir: Annotated[Path, BeforeValidator(absolute_folder)] | None = Field(
        default=None,
        examples=["~/.cache/maingate"],
        description="Where worktrees are kept; an absolute path. Defaults to the user's cache folder.",
    )
    gate_timeout: Duration = Field(
        default=timedelta(minutes=30), description="Wall time of a gate that names none. Defaults to `30m`."
    )
    gate_idle_timeout: Duration | None = Field(
        default=None,
        examples=["5m"],
        description="Time without output of a gate that names none. Defaults to no limit.",
    )
    command_timeout: Duration = Field(
        default=timedelta(minutes=30),
        description="Wall time of a task's command or tool, or an `on_rollback` command, that names none. "
        "Defaults to `30m`.",
    )
    retry_delay: Duration = Field(
        default=timedelta(seconds=1),
        description="Longest wait before a task's first retry; it doubles with each further one. "
        "Defaults to `1s`.",
    )
    retry_delay_max: Duration = Field(
        default=timedelta(minutes=5),
        validate_default=True,
        description="Longest wait before any retry, at least `retry_delay`. Defaults to `5m`.",
    )
    breaker_threshold: Positive = Field(
        default=5,
        description="How often in a row a tool may fail before it is left alone. Defaults to `5`.",
    )
    breaker_cooldown: Duration = Field(
        default=timedelta(seconds=60),
        description="How long a tool is left alone before a single task tries it out. Defaults to `1m`.",
    )
    rate_limit_rest: Duration = Field(
        default=timedelta(seconds=60),
        description="How long a tool is left alone whose provider refuses it and does not say for how long. "
        "Defaults to `1m`.",
    )
    prompt_template: Path | None = Field(
        default=None,
        examples=["/etc/maingate/retry.txt"],
        description="A file that says how a tool is told what was wrong with its last patch; see TOOLS.md. "
        "Defaults to a template of Maingate's own.",
    )
    stuck_task: Duration = Field(
        default=timedelta(minutes=30),
        description="How long a task may run without any change before it is reported as stuck. "
        "Defaults to `30m`.",
    )
    stuck_workstream: Duration = Field(
        default=timedelta(hours=1),
        description="How long a workstream may execute without any change of it, its tasks or its patches "
        "before it is reported as stuck. Defaults to `1h`.",
    )
    stuck_worker: Duration = Field(
        default=timedelta(minutes=2),
        description="How long a worker may be silent before it is reported as stuck. Defaults to `2m`.",
    )
    checkout_timeout: Duration = Field(
        default=timedelta(minutes=5),
        description="How long git and your filters (LFS, for one) may take for the files of a checkout that "
        "follows its branch; before the branch moves. Defaults to `5m`.",
    )
    kill_grace: Duration = Field(
        default=timedelta(seconds=5),
        description="Time between asking a process tree to end and ending it. Defaults to `5s`.",
    )
    confirm_failures: StrictBool = Field(
        default=True,
        description="Whether a failed gate is run once more on the same tree before a patch is blamed. "
        "Defaults to `true`.",
    )
    max_patch_bytes: Size = Field(
        default=64 * MIB, description="Largest patch that is read at all. Defaults to `64MiB`."
    )
    env_allow: tuple[str, ...] = Field(
        default=DEFAULT_ENVIRONMENT,
        description="Environment variables that gates, commands and tools see, `*` for any letters. "
        f"Defaults to {', '.join(f'`{name}`' for name in DEFAULT_ENVIRONMENT)}.",
    )
    log_head_bytes: Size = Field(
        default=MIB,
        description="What is kept of the beginning of what a gate, command or tool prints. "
        "Defaults to `1MiB`.",
    )
    log_tail_bytes: Size = Field(
        default=MIB,
        description="What is kept of the end of what a gate, command or tool prints. Defaults to `1MiB`.",
    )
    busy_timeout: Duration = Field(
        default=timedelta(seconds=30),
        description="How long to wait for a locked SQLite database. Defaults to `30s`.",
    )
    limits: GateLimits = Field(
        default=GateLimits(),
        description="What one gate or command may use of the machine, and a tool whose `limits` say nothing.",
    )
    policy: PolicyLayer = Field(
        default=PolicyLayer(forbid=DEFAULT_FORBID, allow_settings_changes=False),
        description="What every patch must hold to; plans may only tighten it.",
    )

    @field_validator("workers_min")
    @classmethod
    def _at_most_workers(cls, least: int, info: ValidationInfo) -> int:
        """Refuse a pool that would be kept larger than it may grow."""
        most = info.data.get("workers", least)
        if least > most:
            raise _bound_error(
                f"'workers_min' must be at most 'workers', which is {most}, not {least}",
                "lower it, or raise workers",
            )
        return least

    @field_validator("retry_delay_max")
    @classmethod
    def _at_least_retry_delay(cls, longest: timedelta, info: ValidationInfo) -> timedelta:
        """Refuse a ceiling that lies below where the waits begin."""
        first = info.data.get("retry_delay", longest)
        if longest < first:
            raise _bound_error(
                f"'retry_delay_max' must be at least 'retry_delay', which is {format_duration(first)}, "
                f"not {format_duration(longest)}",
                "raise it, or lower retry_delay",
            )
        return longest

    @field_validator("policy")
    @classmethod
    def _with_defaults(cls, policy: PolicyLayer) -> PolicyLayer:
        """Forbid secrets, and changes of settings, unless the policy says otherwise."""
        defaults = {"forbid": DEFAULT_FORBID, "allow_settings_changes": False}
        return policy.model_copy(
            update={name: value for name, value in defaults.items() if getattr(policy, name) is None}
        )


def _bound_error(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("bound_invalid", "{message}", {"message": message, "hint": hint})
