"""The REST application and its plain pages: one router per resource, no logic of its own."""
