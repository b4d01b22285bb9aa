"""The build side: a table becomes a verified bundle. Imports the runtime; the runtime never imports this at start-up."""
