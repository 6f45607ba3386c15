"""What a user wants of the conductor unless a pipeline says otherwise."""

from typing import Any

from sqlalchemy.orm import Session

from millrace.warehouse.schema import UserPolicy


def user_layer(session: Session, user_id: str) -> dict[str, Any]:
    """The settings that the user has set; empty for a user who set none."""
    row = session.get(UserPolicy, user_id)
    return dict(row.settings) if row else {}
