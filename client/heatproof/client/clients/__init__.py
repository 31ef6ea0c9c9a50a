"""How a server is reached and asked, blocking or on an event loop."""
