"""Files that are whole or absent, and names that stay inside their folder."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard


def write_whole(path: Path | str, write: Callable[[BinaryIO], object]) -> None:
    """Calls ``write(file)`` on a neighbour of ``path``, syncs it and renames it over ``path``; on failure the old file stays."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        with open(part, 'wb') as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path | str, text: str) -> None:
    """Writes ``text`` as UTF-8, whole or not at all."""
    write_whole(path, lambda file: file.write(text.encode('utf-8')))


def write_json(path: Path | str, content: Any) -> None:
    """Writes ``content`` as json, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + '\n')


def read_json(path: Path | str, default: Any = None) -> Any:
    """The content of a json file; ``default`` where there is none."""
    path = Path(path)
    return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else default


def sha256(path: Path | str) -> str:
    """Hex digest of a file."""
    with open(path, 'rb') as file:
        return (
            hashlib.file_digest(file, 'sha256').hexdigest() if hasattr(hashlib, 'file_digest') else hashlib.sha256(file.read()).hexdigest()
        )


def safe_name(text: object) -> str:
    """``text`` as one folder name: letters, digits, ``._-``; never empty, never a parent.

    >>> safe_name('../../etc/passwd'), safe_name('a b/c')
    ('etc-passwd', 'a-b-c')
    """
    return re.sub(r'[^A-Za-z0-9._-]+', '-', str(text)).strip('.-') or 'x'


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """``content``, a dict, with the ``digest`` of the rest of it."""
    return dict(content, digest=digest(content))


def is_sealed(content: object) -> TypeGuard[dict[str, Any]]:
    """Whether ``content`` is a dict as ``sealed`` made it, unchanged."""
    return isinstance(content, dict) and content.get('digest') == digest({k: v for k, v in content.items() if k != 'digest'})


def digest(content: Any) -> str:
    """Hex SHA-256 of what ``content`` (dicts, lists, numbers, strings) says, whatever the order of its keys and the layout of its file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(',', ':')).encode()).hexdigest()
