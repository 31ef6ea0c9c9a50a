"""What is sent to a server and what comes back: files, messages, reports."""
