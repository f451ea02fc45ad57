"""The front: `/o /c /u`, answered by a thin WSGI callable before Flask sees the request. Start at `front`."""
