"""No secret stays in the file of a patch, and a file without one stays as it is."""

from pathlib import Path

from maingate.uet.leaked_secrets import blot_leaked
from maingate.uet.process.redaction import MARK

SECRET = "sk-0123456789abcdef"


def test_a_secret_is_blotted_out_of_the_file(tmp_path: Path) -> None:
    """The rest of the patch is kept, and no copy with the secret lies beside it."""
    patch = tmp_path / "a.diff"
    patch.write_bytes(f"+key = {SECRET}\n+x = 1\n".encode())
    assert blot_leaked(patch, [SECRET])
    assert patch.read_bytes() == f"+key = {MARK}\n+x = 1\n".encode()
    assert list(tmp_path.iterdir()) == [patch]


def test_a_patch_without_a_secret_stays(tmp_path: Path) -> None:
    """Its bytes are the same, and nothing lies beside it."""
    patch = tmp_path / "a.diff"
    patch.write_bytes(b"+x = 1\n")
    assert not blot_leaked(patch, [SECRET])
    assert (patch.read_bytes(), list(tmp_path.iterdir())) == (b"+x = 1\n", [patch])
