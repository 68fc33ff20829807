"""Find the policy files of a folder, so that none is passed over: a deny in it would not count."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import PolicyError


def read_folder(path: Path) -> dict[str, str]:
    """Read the policy files of a folder, or one file, as texts by relative path with `/`; raises PolicyError."""
    if not path.exists():
        raise PolicyError("there is no such file or folder", path=str(path))
    root, found = (path, sorted(_files(path))) if path.is_dir() else (path.parent, [path])
    names = [file.relative_to(root) for file in found]
    texts = {name.as_posix(): _text(root / name) for name in names if not _is_left_out(name)}
    if not texts:
        raise PolicyError("there is no policy file (*.yaml) here, so nothing would ever be allowed", path=str(path))
    return texts


def _files(root: Path) -> Iterator[Path]:
    """Give what may be a policy. What can't be looked into raises: `rglob` passes over it, and a deny in it would not count."""

    def fail(error: OSError) -> None:
        raise PolicyError(f"can't be read: {error.strerror}", path=str(error.filename)) from None

    for folder, inner, names in os.walk(root, onerror=fail):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in inner:
            if (Path(folder) / name).is_symlink():
                raise PolicyError("a link to a folder is not followed: move the folder here", path=str(Path(folder) / name))
        yield from (Path(folder) / name for name in (*names, *inner) if Path(name).suffix.lower() in {".yaml", ".yml"})


def _is_left_out(name: Path) -> bool:
    if name.name.startswith("."):
        return True
    if name.suffix != ".yaml":
        raise PolicyError("a policy file must end in .yaml: rename it, else its rules would not count", path=name.as_posix())
    if not name.as_posix().isprintable():  # a name that is not UTF-8 either: it could not be stored with the bundle
        raise PolicyError("this name can't be shown: rename the file", path=ascii(name.as_posix()))
    return name.name.endswith("_test.yaml")


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"can't be read: {error}", path=str(file)) from None
