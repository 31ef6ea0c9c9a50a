"""Numbers of a gate for tools that follow them from commit to commit."""
