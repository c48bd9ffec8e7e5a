"""Whether a file is a kubeconfig that can be used, told in words that help where the client's own do not."""

from __future__ import annotations

from pathlib import Path

import yaml

from conformance.cluster_errors import KubeconfigError


def chosen(path: Path, context: str | None) -> str:
    """Return `context`, which the file has, or the only one that it has if that is None.

    Of several, the current one is nobody's choice. Raises KubeconfigError when the file is missing, unreadable or no
    kubeconfig, has no such context, or several.
    """
    doing = f"reading the kubeconfig {path}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise KubeconfigError(doing, f"{error.strerror}. Name an existing file with --kubeconfig") from error
    except UnicodeDecodeError as error:
        raise KubeconfigError(doing, "it is not a text file") from error
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KubeconfigError(doing, "it is not YAML") from error
    if not isinstance(config, dict) or not isinstance(config.get("contexts"), list):
        raise KubeconfigError(doing, "it is not a kubeconfig: it has no list of contexts")
    names = [str(entry.get("name")) for entry in config["contexts"] if isinstance(entry, dict)]
    if not names:
        raise KubeconfigError(doing, "it has no context")
    if context is None and len(names) > 1:
        found = f"it has several contexts, and the current one is never taken: choose one of {names} with --context"
        raise KubeconfigError(doing, found)
    if context is not None and context not in names:
        raise KubeconfigError(doing, f"it has no context {context!r}, only {names}")
    return context or names[0]
