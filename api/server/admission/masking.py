"""A manifest as a refusal may show it: its variables hold the operator's secrets."""


def mask_variables(manifest: object) -> object:
    """Return ``manifest`` without the values in its ``Env``, however that is spelt and shaped."""
    if not isinstance(manifest, dict):
        return manifest
    return {key: _mask(item) if key.casefold() == "env" else item for key, item in manifest.items()}


def _mask(value: object) -> object:
    match value:
        case str():
            name, equals, _ = value.partition("=")
            return f"{name}=***" if equals else "***"
        case list():
            return [_mask(item) for item in value]
        case dict():
            return dict.fromkeys(value, "***")
    return value
