"""What uWSGI loads, in each worker after the fork (`lazy-apps`): `application`."""

from __future__ import annotations

from app.factory import add_front, create_app

application = create_app()
add_front(application, application.extensions["telltale"])
