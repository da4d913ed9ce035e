"""The paths of one file's part of a diff: which of its header's names are meant."""

from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.headers import NULL, same_file, same_file_or_backup, split_moved, split_pair
from maingate.patches.text.lines import DiffError
from maingate.patches.text.quoting import show_path, unquote_path
from maingate.patches.text.section import Section


def paths_in(section: Section) -> tuple[bytes, bytes]:
    """Return the paths of a file before and after its change, and note the repairs of its names.

    Raises:
        DiffError: The header names no file, or several that do not agree.
    """
    paths = _named_paths(section)
    if any(b"\0" in path for path in paths):
        raise DiffError(f"{show_path(paths[1])} is no name of a file: it has a NUL in it", section.at)
    return paths


def _named_paths(section: Section) -> tuple[bytes, bytes]:
    old = None if section.old_name == NULL else section.old_name
    new = None if section.new_name == NULL else section.new_name
    if section.title is None:
        return _traditional_paths(section, old, new)
    move = _move(section, b"rename") or _move(section, b"copy")
    names = split_moved(section.title, *move) if move else split_pair(section.title, old, new)
    if names is None or old not in (None, names[0]) or new not in (None, names[1]):
        raise DiffError(
            "the names in a file's header lines do not agree, or cannot be told apart", section.at
        )
    section.names = names
    paths = move or _one_path(section, *names, path=same_file(*names))
    _note_names(section, names, paths)
    return paths


def _traditional_paths(section: Section, old: bytes | None, new: bytes | None) -> tuple[bytes, bytes]:
    if old is not None and new is not None:
        section.names = (old, new)
        paths = _one_path(section, old, new, path=same_file_or_backup(old, new))
        _note_names(section, (old, new), paths)
        return paths
    section.lone_name = name = old or new
    if name is None:
        raise DiffError("the `---` and `+++` lines name no file", section.at)
    return name, name


def _note_names(section: Section, names: tuple[bytes, bytes], paths: tuple[bytes, bytes]) -> None:
    """Add the repair of a name that is not in git's form: with other prefixes, or a backup's name."""
    if names in {paths, (b"a/" + paths[0], b"b/" + paths[1])}:
        return
    one_each = dict(zip(reversed(paths), reversed(names), strict=True))
    section.repairs += [named_otherwise(name, path) for path, name in one_each.items() if name != path]


def named_otherwise(name: bytes, path: bytes) -> Repair:
    """Return the repair that a name was read as another path."""
    was, now = show_path(name), show_path(path)
    return Repair(kind=RepairKind.PREFIX, said=f"{was} was taken as this file's name", was=was, now=now)


def _one_path(section: Section, old: bytes, new: bytes, *, path: bytes | None) -> tuple[bytes, bytes]:
    if path is None:
        raise DiffError(
            f"a header names two files, {show_path(old)} and {show_path(new)}, but neither rename nor copy",
            section.at,
        )
    return path, path


def _move(section: Section, verb: bytes) -> tuple[bytes, bytes] | None:
    source, target = section.fields.get(verb + b" from"), section.fields.get(verb + b" to")
    if source is None and target is None:
        return None
    source, target = _unquoted(source or b""), _unquoted(target or b"")
    if not source or not target or source == target:
        raise DiffError(f"the {verb.decode()} lines of a header are damaged or one is missing", section.at)
    return source, target


def _unquoted(text: bytes) -> bytes:
    if not text.startswith(b'"'):
        return text
    unquoted = unquote_path(text)
    return b"" if unquoted is None or unquoted[1].strip() else unquoted[0]
