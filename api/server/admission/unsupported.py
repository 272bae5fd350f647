"""What the engine cannot do of a manifest that was admitted: as bad as a key that it lacks."""

from collections.abc import Iterable

from api.engine.capabilities import Unsupported
from api.server.admission.violations import Violation, refuse_form


def refuse_unsupported(found: Iterable[Unsupported]) -> None:
    """Raise ``Problem`` 400 ``InvalidManifest`` if the engine cannot do all of a manifest."""
    if violations := [Violation(one.pointer, one.message) for one in found]:
        refuse_form(violations, ())
