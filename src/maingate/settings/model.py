"""The settings of a repository and a machine.

The module is long because it is one list: every setting with its meaning, which docs/SETTINGS.md is made of.
"""

import os
import re
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

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
    model_validator,
)
from pydantic_core import PydanticCustomError

from maingate.settings.addresses import (
    absolute_folder,
    check_database_url,
    check_otlp_endpoint,
    check_receiver_url,
)
from maingate.settings.durations import Duration, Size, format_duration
from maingate.settings.gate_environment import DEFAULT_ENVIRONMENT
from maingate.settings.policy_layer import PolicyLayer

_COMMITTER: Final = re.compile(r"[^<>\n\0]*[^<>\s\0][^<>\n\0]* <[^<>\s\0]+>")

MIB: Final = 1024 * 1024
"""Bytes."""

LARGEST_PATCH: Final = 64 * MIB
"""Bytes of the largest patch that is read at all, by default."""

MOST_WORKERS: Final = 1024
"""More workers than any machine runs; a higher number is a typing error."""

MACHINE_SIZED: Final = ("workers",)
"""Settings whose default depends on the machine."""

NEVER_FROM_A_TREE: Final = (
    "database_url",
    "cache_dir",
    "committer",
    "sign",
    "env_allow",
    "prompt_template",
    "log_file",
    "otlp_endpoint",
    "server",
    "webhooks",
)
"""Settings that no commit may decide: places of files and caches, variables for gates and tools, what a
server serves to whom, and who is sent events; and who makes and signs commits."""

RULES: Final = ("gates", "tools", "prepare", "prepare_inputs", "keep", "submodules", "landing", "proof")
"""Settings that every plan inherits, with the keys of a plan: `maingate.plan.rules` checks them."""

RULES_BY_NAME: Final = ("gates", "tools")
"""Rules that are several, each with a name."""

OF_THE_TARGET: Final = ("policy", *RULES)
"""Settings that are taken from the target's tree where that has a `maingate.toml`, not from a checkout."""

MOST_WEBHOOKS: Final = 16
"""Most receivers of webhooks: each has a thread, and a label in metrics."""

DEFAULT_FORBID: Final = ("secrets/**",)
"""Globs that no patch may touch, unless `maingate.toml` states others (docs/SPECIFICATION.md §2.6)."""


def _usable_processors() -> int:
    """Return the number of processors that this process may run on; the machine may have more."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


Positive = Annotated[StrictInt, Field(ge=1)]


class GateLimits(BaseModel):
    """Limits on the machine's resources for one gate, command or tool; none unless set."""

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


class ServerSettings(BaseModel):
    """The repositories and the address of `maingate serve`; not in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repositories: tuple[Annotated[Path, BeforeValidator(absolute_folder)], ...] = Field(
        default=(),
        examples=[["/srv/git/tally", "/srv/git/web.git"]],
        description="The repositories that it serves; absolute paths. Defaults to the one that it is started "
        "in.",
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address that it listens at. Where other machines reach it, there must be tokens. "
        "Defaults to `127.0.0.1`.",
    )
    port: Annotated[StrictInt, Field(ge=0, le=65_535)] = Field(
        default=8470, description="The port that it listens at; `0` for any that is free. Defaults to `8470`."
    )
    runs_per_target: Annotated[StrictInt, Field(ge=1, le=64)] = Field(
        default=4,
        description="Runs on one branch of the repository that have processes at once; the oldest first. One "
        "of them proves and lands the work of all, so few gates run in the others, but each may have "
        "`workers` for tools and for gates on single patches. Defaults to `4`.",
    )
    drain_time: Duration = Field(
        default=timedelta(seconds=60),
        description="Time that running gates have to end when the server is stopped. Defaults to `1m`.",
    )


class WebhookSettings(BaseModel):
    """A receiver of events; see WEBHOOKS.md. Not in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, AfterValidator(check_receiver_url)] = Field(
        examples=["https://hooks.example.org/maingate"],
        description="The address to which each event is sent by POST.",
        repr=False,
    )
    secret_env: str | None = Field(
        default=None,
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        examples=["CHAT_WEBHOOK_SECRET"],
        description="The environment variable with the secret that signs deliveries; while it is exchanged, "
        "both secrets with a space between them. Defaults to none.",
    )
    secret_file: Annotated[Path, BeforeValidator(absolute_folder)] | None = Field(
        default=None,
        examples=["/etc/maingate/chat.secret"],
        description="The file with the secret, or with both, instead of a variable; an absolute path. A new "
        "content holds at once. Defaults to none.",
    )
    filter: str = Field(
        default="",
        max_length=2_000,
        examples=["type:run state:failed,succeeded"],
        description="The events that it is sent, as a query (EVENTS.md) that lists events. Defaults to all.",
    )

    @property
    def shown_url(self) -> str:
        """The address without its path and query, which may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}" + ("/…" if parts.path.strip("/") or parts.query else "")

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        """Refuse a receiver without a secret, or with two places for it."""
        if (self.secret_env is None) == (self.secret_file is None):
            raise _bound_error(
                "'secret_env' or 'secret_file' must be there, and not both",
                "name the variable or the file that has the secret; `maingate webhook secret` makes one",
            )
        return self


def _committer(value: str) -> str:
    if not _COMMITTER.fullmatch(value):
        raise _bound_error(f"{value!r} is not a committer", 'write "Ada Example <ada@example.org>"')
    return value


class Settings(BaseModel):
    """The values of `maingate.toml` and `MAINGATE_*`, with defaults for the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: Annotated[str, AfterValidator(check_database_url)] | None = Field(
        default=None,
        examples=["postgresql+psycopg://maingate@db.example.org/maingate"],
        description="The database in which runs are recorded: `postgresql+psycopg://…`, or "
        "`sqlite:////absolute/path.db`. "
        "Defaults to SQLite in `maingate/maingate.db` in git's common directory (`.git`).",
    )
    workers: Annotated[StrictInt, Field(ge=1, le=MOST_WORKERS)] = Field(
        default_factory=_usable_processors,
        examples=[4],
        description=f"Gates, commands and tools that run at once, at most {MOST_WORKERS}. "
        "Defaults to the number of processors.",
    )
    workers_min: Annotated[StrictInt, Field(ge=0, le=MOST_WORKERS)] = Field(
        default=0,
        description="Workers that are kept while no job waits, at most `workers`. Defaults to `0`.",
    )
    worker_idle_time: Duration = Field(
        default=timedelta(seconds=60),
        description="Idle time after which a worker beyond `workers_min` is ended. Defaults to `1m`.",
    )
    heartbeat_interval: Duration = Field(
        default=timedelta(seconds=60),
        description="Interval of the heartbeats of workers and of the control process. Defaults to `1m`.",
    )
    heartbeat_misses: Positive = Field(
        default=2,
        description="Heartbeats that a busy worker may miss before it counts as unresponsive. "
        "Defaults to `2`.",
    )
    recovery_window: Duration = Field(
        default=timedelta(seconds=300),
        description="Time that an unresponsive worker has to come back before it is ended. Its job is given "
        "to another "
        "worker at once. Defaults to `5m`.",
    )
    lost_attempts: Positive = Field(
        default=5,
        description="Attempts of a task that may be lost with their process before it fails; counted apart "
        "from its "
        "own failures. Defaults to `5`.",
    )
    cache_dir: Annotated[Path, BeforeValidator(absolute_folder)] | None = Field(
        default=None,
        examples=["~/.cache/maingate"],
        description="The folder for worktrees; an absolute path. Defaults to the user's cache folder.",
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
    prepare_timeout: Duration = Field(
        default=timedelta(minutes=30),
        description="Wall time of each command of `prepare`, and of checking submodules out, where the plan "
        "names none. Defaults to `30m`.",
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
        description="Consecutive failures after which a tool's circuit breaker opens. Defaults to `5`.",
    )
    breaker_cooldown: Duration = Field(
        default=timedelta(seconds=60),
        description="Time for which an open breaker pauses its tool, before a single task probes it. "
        "Defaults to `1m`.",
    )
    rate_limit_rest: Duration = Field(
        default=timedelta(seconds=60),
        description="Time for which a tool is paused when its provider refuses it and states no time. "
        "Defaults to `1m`.",
    )
    prompt_template: Path | None = Field(
        default=None,
        examples=["/etc/maingate/retry.txt"],
        description="A file with the template by which a tool is told what was wrong with its last patch; "
        "see "
        "TOOLS.md. Defaults to a built-in template.",
    )
    stuck_task: Duration = Field(
        default=timedelta(minutes=30),
        description="Time that a task may run without a change before it is reported as stuck. "
        "Defaults to `30m`.",
    )
    stuck_workstream: Duration = Field(
        default=timedelta(hours=1),
        description="Time that a workstream may execute without a change of it, its tasks or its patches "
        "before it is "
        "reported as stuck. Defaults to `1h`.",
    )
    stuck_worker: Duration = Field(
        default=timedelta(minutes=2),
        description="Time that a worker may be silent before it is reported as stuck. Defaults to `2m`.",
    )
    checkout_timeout: Duration = Field(
        default=timedelta(minutes=5),
        description="Time that git and your filters (such as LFS) may take to prepare the files of a "
        "checkout that "
        "follows its branch, before the branch moves. Defaults to `5m`.",
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
        default=LARGEST_PATCH, description="Largest patch that is read at all. Defaults to `64MiB`."
    )
    sign: Literal["auto", "never", "required"] = Field(
        default="auto",
        description="Whether commits are signed, with git's `gpg.format` (openpgp, ssh, x509) and "
        "`user.signingKey`: `auto` if `commit.gpgSign` is set, `required`, or `never`. No run begins whose "
        "commits would have to be signed and cannot be. Defaults to `auto`.",
    )
    committer: Annotated[str, AfterValidator(_committer)] | None = Field(
        default=None,
        examples=["Ada Example <ada@example.org>"],
        description="The committer of all commits, and the author of those that have no other. Defaults to "
        "`user.name` and `user.email` of git's configuration, else to `Maingate <maingate@localhost>`.",
    )
    env_allow: tuple[str, ...] = Field(
        default=DEFAULT_ENVIRONMENT,
        description="Environment variables that gates, commands and tools see, `*` for any letters. "
        f"Defaults to {', '.join(f'`{name}`' for name in DEFAULT_ENVIRONMENT)}.",
    )
    log_head_bytes: Size = Field(
        default=MIB,
        description="Bytes that are kept of the beginning of the output of a gate, command or tool. "
        "Defaults to `1MiB`.",
    )
    log_tail_bytes: Size = Field(
        default=MIB,
        description="Bytes that are kept of the end of the output of a gate, command or tool. Defaults to "
        "`1MiB`.",
    )
    log_file: Annotated[Path, BeforeValidator(absolute_folder)] | None = Field(
        default=None,
        examples=["/var/log/maingate.log"],
        description="A file to which a line is appended for each event; an absolute path. See EVENTS.md. "
        "Defaults to no such file.",
    )
    log_format: Literal["json", "console"] = Field(
        default="json",
        description="The form of the lines of `log_file`: `json` for programs, or `console` for people. "
        "Defaults to `json`.",
    )
    otlp_endpoint: Annotated[str, AfterValidator(check_otlp_endpoint)] | None = Field(
        default=None,
        examples=["http://localhost:4318"],
        description="The receiver to which traces are sent by OTLP over HTTP; needs the extra `otel`. See "
        "TRACES.md. Defaults to `OTEL_EXPORTER_OTLP_ENDPOINT`, and without that to no traces.",
    )
    notes: StrictBool = Field(
        default=False,
        description="Whether each commit that a landing makes of a target gets a note with the gates that "
        "proved it, under `refs/notes/maingate`. See COMMANDS.md. Defaults to `false`.",
    )
    rollup_retention: Duration = Field(
        default=timedelta(days=365),
        description="Time for which events are counted by the hour; older ones are counted together, and "
        "queries about them read the events. Defaults to `365d`.",
    )
    busy_timeout: Duration = Field(
        default=timedelta(seconds=30),
        description="Time to wait for a locked SQLite database. Defaults to `30s`.",
    )
    landing: Any = Field(
        default=None,
        examples=["merge"],
        description="The form of a landed workstream where a plan states none: `merge`, `squash` or "
        "`rebase`. Defaults to `merge`.",
    )
    proof: Any = Field(
        default=None,
        examples=["ref"],
        description="The states of a target that are tested as they are: `commit`, `ref` or `later`; plans "
        "may only tighten it. See PLAN_FILE.md. Defaults to `ref`.",
    )
    speculation: Literal["fast", "balanced", "frugal"] = Field(
        default="balanced",
        description="How much is tested ahead of what is known: `fast` starts runs of gates that are hardly "
        "ever needed where workers are free, `frugal` only those that probably are. Defaults to `balanced`.",
    )
    prepare: Any = Field(
        default=None,
        examples=[["pip install -e ."]],
        description="Commands that prepare a worktree, for every plan; see PLAN_FILE.md. Defaults to none.",
    )
    prepare_inputs: Any = Field(
        default=None,
        examples=[["pyproject.toml"]],
        description="Globs of the files that `prepare` depends on. Defaults to none.",
    )
    keep: Any = Field(
        default=None,
        examples=[[".venv"]],
        description="Globs of untracked paths that every job gets as `prepare` left them. Defaults to none.",
    )
    submodules: Any = Field(
        default=None,
        examples=["recursive"],
        description="The submodules that gates and tools have: `none`, `shallow` or `recursive`; see "
        "PLAN_FILE.md. Defaults to none.",
    )
    gates: dict[str, Any] = Field(
        default={}, description="The gates that every plan inherits. Defaults to none."
    )
    tools: dict[str, Any] = Field(
        default={}, description="The tools that every plan can use. Defaults to none."
    )
    limits: GateLimits = Field(
        default=GateLimits(),
        description="Resources of the machine that one gate or command may use, and a tool without `limits` "
        "of its own.",
    )
    server: ServerSettings = Field(
        default=ServerSettings(),
        description="The repositories of `maingate serve`, and its address. Its flags come before these.",
    )
    webhooks: dict[Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]*$", max_length=40)], WebhookSettings] = (
        Field(
            default={},
            max_length=MOST_WEBHOOKS,
            description=f"The receivers of events, at most {MOST_WEBHOOKS}, each with a name of its own.",
        )
    )
    policy: PolicyLayer = Field(
        default=PolicyLayer(forbid=DEFAULT_FORBID, allow_settings_changes=False),
        description="Rules that every patch must keep; plans may only tighten them.",
    )

    @field_validator("workers_min")
    @classmethod
    def _at_most_workers(cls, least: int, info: ValidationInfo) -> int:
        """Refuse a smallest pool that exceeds the largest."""
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
        """Refuse a longest wait that is shorter than the first one."""
        first = info.data.get("retry_delay", longest)
        if longest < first:
            raise _bound_error(
                f"'retry_delay_max' must be at least 'retry_delay', which is {format_duration(first)}, "
                f"not {format_duration(longest)}",
                "raise it, or lower retry_delay",
            )
        return longest

    @field_validator("webhooks")
    @classmethod
    def _secrets_are_kept(
        cls, receivers: dict[str, WebhookSettings], info: ValidationInfo
    ) -> dict[str, WebhookSettings]:
        """Refuse a secret that gates, commands and tools would see."""
        allowed = info.data.get("env_allow", ())
        for name, receiver in receivers.items():
            if receiver.secret_env and any(fnmatchcase(receiver.secret_env, each) for each in allowed):
                raise _bound_error(
                    f"the secret of {name!r} is in {receiver.secret_env}, which 'env_allow' shows to gates",
                    "name another variable, or use secret_file",
                )
        return receivers

    def receiver_of_secret(self, variable: str) -> str | None:
        """Return the receiver of webhooks whose secret is in an environment variable; None without one."""
        found = (name for name, each in self.webhooks.items() if each.secret_env == variable)
        return next(found, None)

    @field_validator("policy")
    @classmethod
    def _with_defaults(cls, policy: PolicyLayer) -> PolicyLayer:
        """Forbid secrets and changes of settings, unless the policy allows them."""
        defaults = {"forbid": DEFAULT_FORBID, "allow_settings_changes": False}
        return policy.model_copy(
            update={name: value for name, value in defaults.items() if getattr(policy, name) is None}
        )


def _bound_error(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("bound_invalid", "{message}", {"message": message, "hint": hint})
